/* Trigonometric functions and their inverses.

   Sines, cosines and tangents are these for arguments near 0; for others, the C library's. */

#define HALF_PI_FLOAT 0x1.921fb6p+0f
#define HALF_PI_LOW_FLOAT (-0x1.777a5cp-25f)
#define HALF_PI_DOUBLE 0x1.921fb54442d18p+0
#define HALF_PI_LOW_DOUBLE 0x1.1a62633145c07p-54

/* x = n pi / 2 + r. The first difference is exact, and so is what the second and third leave but for
   one rounding, as long as n is one that the sum with MAGIC holds: up to NEAR, far beyond which
   arguments seldom are. Kernels go on with the C library's functions where one is. */
#define NEAR_FLOAT 0x1p+20f
#define NEAR_DOUBLE 0x1p+30

/* sin(r) / r - 1 and cos(r) - 1, by z = r^2. */
INLINE float sine_rest_float(float z) {
    float p = -0x1.9943f2p-13f;
    p = fma_float(p, z, 0x1.11064ap-7f);
    p = fma_float(p, z, -0x1.55554ap-3f);
    return p * z;
}

INLINE float cosine_rest_float(float z) {
    float p = 0x1.99eb9cp-16f;
    p = fma_float(p, z, -0x1.6c0c1cp-10f);
    p = fma_float(p, z, 0x1.55554ap-5f);
    return fma_float(p, z * z, -0.5f * z);
}

INLINE double sine_rest_double(double z) {
    double p = 1.58969099521155010221e-10;
    p = fma_double(p, z, -2.50507602534068634195e-08);
    p = fma_double(p, z, 2.75573137070700676789e-06);
    p = fma_double(p, z, -1.98412698298579493134e-04);
    p = fma_double(p, z, 8.33333333332248946124e-03);
    p = fma_double(p, z, -1.66666666666666324348e-01);
    return p * z;
}

INLINE double cosine_rest_double(double z) {
    double p = -1.13596475577881948265e-11;
    p = fma_double(p, z, 2.08757232129817482790e-09);
    p = fma_double(p, z, -2.75573143513906633035e-07);
    p = fma_double(p, z, 2.48015872894767294178e-05);
    p = fma_double(p, z, -1.38888888888741095749e-03);
    p = fma_double(p, z, 4.16666666666666019037e-02);
    return fma_double(p, z * z, -0.5 * z);
}

#define REDUCE_BY_QUARTERS_FLOAT(x)                                                                \
    const float shifted = fma_float(x, 0x1.45f306p-1f, MAGIC_FLOAT), n = shifted - MAGIC_FLOAT;    \
    const float most = exact_float(n, -0x1.921fb6p+0f, x);                                         \
    const float more = exact_float(n, 0x1.777a5cp-25f, most);                                      \
    const float r = fma_float(n, 0x1.ee59dap-50f, more);

#define REDUCE_BY_QUARTERS_DOUBLE(x)                                    \
    const double shifted = fma_double(x, 0x1.45f306dc9c883p-1, MAGIC_DOUBLE); \
    const double n = shifted - MAGIC_DOUBLE;                            \
    const double most = exact_double(n, -0x1.921fb54442d18p+0, x);      \
    const double more = exact_double(n, -0x1.1a62633145c07p-54, most);  \
    const double r = fma_double(n, 0x1.f1976b7ed8fbcp-110, more);

/* The sine a quarter of a turn on, so many times. */
INLINE float turned_float(float x, int32_t quarters) {
    REDUCE_BY_QUARTERS_FLOAT(x)
    const int32_t q = low_float(shifted) + quarters;
    const float z = r * r;
    const float y = q & 1 ? 1.0f + cosine_rest_float(z) : fma_float(sine_rest_float(z), r, r);
    return q & 2 ? -y : y;
}

INLINE double turned_double(double x, int64_t quarters) {
    REDUCE_BY_QUARTERS_DOUBLE(x)
    const int64_t q = low_double(shifted) + quarters;
    const double z = r * r;
    const double y = q & 1 ? 1.0 + cosine_rest_double(z) : fma_double(sine_rest_double(z), r, r);
    return q & 2 ? -y : y;
}

INLINE float sin_near_float(float x) { return x == 0.0f ? x : turned_float(x, 0); }
INLINE double sin_near_double(double x) { return x == 0.0 ? x : turned_double(x, 0); }
INLINE float cos_near_float(float x) { return turned_float(x, 1); }
INLINE double cos_near_double(double x) { return turned_double(x, 1); }

/* Sine over cosine, or minus cosine over sine a quarter of a turn on, with what was rounded off r and
   off both. */
INLINE float tan_near_float(float x) {
    REDUCE_BY_QUARTERS_FLOAT(x)
    const float r_low = fma_float(n, 0x1.ee59dap-50f, more - r), z = r * r;
    const float sine_more = sine_rest_float(z) * r, cosine_more = cosine_rest_float(z);
    const float sine = r + sine_more, cosine = 1.0f + cosine_more;
    const float sine_low = (r - sine) + sine_more + cosine * r_low;
    const float cosine_low = (1.0f - cosine) + cosine_more - sine * r_low;
    const bool is_odd = low_float(shifted) & 1;
    const float above = is_odd ? -cosine : sine, above_low = is_odd ? -cosine_low : sine_low;
    const float below = is_odd ? sine : cosine, below_low = is_odd ? sine_low : cosine_low;
    const float inverse = 1.0f / below, y = above * inverse;
    const float left = exact_float(-y, below, above) + (above_low - y * below_low);
    return x == 0.0f ? x : fma_float(left, inverse, y);
}

INLINE double tan_near_double(double x) {
    REDUCE_BY_QUARTERS_DOUBLE(x)
    const double r_low = fma_double(n, 0x1.f1976b7ed8fbcp-110, more - r), z = r * r;
    const double sine_more = sine_rest_double(z) * r, cosine_more = cosine_rest_double(z);
    const double sine = r + sine_more, cosine = 1.0 + cosine_more;
    const double sine_low = (r - sine) + sine_more + cosine * r_low;
    const double cosine_low = (1.0 - cosine) + cosine_more - sine * r_low;
    const bool is_odd = low_double(shifted) & 1;
    const double above = is_odd ? -cosine : sine, above_low = is_odd ? -cosine_low : sine_low;
    const double below = is_odd ? sine : cosine, below_low = is_odd ? sine_low : cosine_low;
    const double inverse = 1.0 / below, y = above * inverse;
    const double left = exact_double(-y, below, above) + (above_low - y * below_low);
    return x == 0.0 ? x : fma_double(left, inverse, y);
}

#define sin_float sinf
#define sin_double sin
#define cos_float cosf
#define cos_double cos
#define tan_float tanf
#define tan_double tan

/* x + x^3 P(x^2) for sizes up to a half; beyond, twice that of sqrt((1 - size) / 2) is what is missing
   from a quarter of a turn (W. J. Cody and W. Waite, chapter 10). */
INLINE float arcsine_rest_float(float s, float z) {
    float p = 0x1.37fe16p-5f;
    p = fma_float(p, z, 0x1.b311d2p-6f);
    p = fma_float(p, z, 0x1.70a6bcp-5f);
    p = fma_float(p, z, 0x1.332732p-4f);
    p = fma_float(p, z, 0x1.55555ep-3f);
    return p * z * s;
}

INLINE double arcsine_rest_double(double s, double z) {
    double p = 0x1.d72b2bc8155f8p-6;
    p = fma_double(p, z, -0x1.e6aaa8a0a04ccp-7);
    p = fma_double(p, z, 0x1.1d189408314eep-6);
    p = fma_double(p, z, 0x1.65a9c4dfcf8b2p-8);
    p = fma_double(p, z, 0x1.52420b04b37bep-7);
    p = fma_double(p, z, 0x1.782651caa6547p-7);
    p = fma_double(p, z, 0x1.c9cf07674736ap-7);
    p = fma_double(p, z, 0x1.1c4d35cf95421p-6);
    p = fma_double(p, z, 0x1.6e8bb1c8209a2p-6);
    p = fma_double(p, z, 0x1.f1c71c1db0623p-6);
    p = fma_double(p, z, 0x1.6db6db6e31f13p-5);
    p = fma_double(p, z, 0x1.3333333332ecap-4);
    p = fma_double(p, z, 0x1.5555555555556p-3);
    return p * z * s;
}

INLINE float arcsin_float(float x) {
    const float size = absolute_float(x);
    const bool is_far = size > 0.5f;
    const float z = is_far ? 0.5f * (1.0f - size) : size * size, s = is_far ? sqrt_float(z) : size;
    const float rest = arcsine_rest_float(s, z);
    const float far = (HALF_PI_FLOAT - 2.0f * s) - (2.0f * rest - HALF_PI_LOW_FLOAT);
    return copysign_float(is_far ? far : s + rest, x);
}

INLINE double arcsin_double(double x) {
    const double size = absolute_double(x);
    const bool is_far = size > 0.5;
    const double z = is_far ? 0.5 * (1.0 - size) : size * size, s = is_far ? sqrt_double(z) : size;
    const double rest = arcsine_rest_double(s, z);
    const double far = (HALF_PI_DOUBLE - 2.0 * s) - (2.0 * rest - HALF_PI_LOW_DOUBLE);
    return copysign_double(is_far ? far : s + rest, x);
}

INLINE float arccos_float(float x) {
    const float size = absolute_float(x);
    const bool is_far = size > 0.5f;
    const float z = is_far ? 0.5f * (1.0f - size) : x * x, s = is_far ? sqrt_float(z) : x;
    const float rest = arcsine_rest_float(s, z);
    const float near = HALF_PI_FLOAT - (s + (rest - HALF_PI_LOW_FLOAT));
    const float twice = 2.0f * s, above = twice + 2.0f * rest;
    const float below = 2.0f * HALF_PI_FLOAT - (twice + 2.0f * (rest - HALF_PI_LOW_FLOAT));
    return is_far ? (x < 0.0f ? below : above) : near;
}

INLINE double arccos_double(double x) {
    const double size = absolute_double(x);
    const bool is_far = size > 0.5;
    const double z = is_far ? 0.5 * (1.0 - size) : x * x, s = is_far ? sqrt_double(z) : x;
    const double rest = arcsine_rest_double(s, z);
    const double near = HALF_PI_DOUBLE - (s + (rest - HALF_PI_LOW_DOUBLE));
    const double twice = 2.0 * s, above = twice + 2.0 * rest;
    const double below = 2.0 * HALF_PI_DOUBLE - (twice + 2.0 * (rest - HALF_PI_LOW_DOUBLE));
    return is_far ? (x < 0.0 ? below : above) : near;
}

/* The angle whose tangent is least / most, 0 <= least <= most (W. J. Cody and W. Waite, chapter 11): that
   of the quotient, or half a right angle and the
   angle whose tangent is (least - most) / (least + most), so that |t| < sqrt(2) - 1. */
INLINE float angle_float(float least, float most) {
    const bool is_wide = least > 0x1.a8279ap-2f * most;
    const float t = (is_wide ? least - most : least) / (is_wide ? least + most : most), z = t * t;
    float p = -0x1.08432cp-4f;
    p = fma_float(p, z, 0x1.b80f88p-4f);
    p = fma_float(p, z, -0x1.24202ep-3f);
    p = fma_float(p, z, 0x1.99973p-3f);
    p = fma_float(p, z, -0x1.555554p-2f);
    const float low = is_wide ? 0.5f * HALF_PI_LOW_FLOAT : 0.0f;
    return (is_wide ? 0.5f * HALF_PI_FLOAT : 0.0f) + (t + fma_float(p * z, t, low));
}

INLINE double angle_double(double least, double most) {
    const bool is_wide = least > 0x1.a827999fcef32p-2 * most;
    const double t = (is_wide ? least - most : least) / (is_wide ? least + most : most), z = t * t;
    double p = -0x1.3a2b7a07caea9p-6;
    p = fma_double(p, z, 0x1.41603647c7a7cp-5);
    p = fma_double(p, z, -0x1.a098bb6ba4941p-5);
    p = fma_double(p, z, 0x1.dfe61e80903d2p-5);
    p = fma_double(p, z, -0x1.10fa75382537fp-4);
    p = fma_double(p, z, 0x1.3b1262d95579ep-4);
    p = fma_double(p, z, -0x1.745d0b26b83e7p-4);
    p = fma_double(p, z, 0x1.c71c7185314cbp-4);
    p = fma_double(p, z, -0x1.24924924360cbp-3);
    p = fma_double(p, z, 0x1.999999999934ap-3);
    p = fma_double(p, z, -0x1.5555555555555p-2);
    const double low = is_wide ? 0.5 * HALF_PI_LOW_DOUBLE : 0.0;
    return (is_wide ? 0.5 * HALF_PI_DOUBLE : 0.0) + (t + fma_double(p * z, t, low));
}

INLINE float arctan_float(float x) {
    const float size = absolute_float(x);
    const bool is_far = size > 1.0f;
    const float y = angle_float(is_far ? 1.0f : size, is_far ? size : 1.0f);
    return copysign_float(is_far ? HALF_PI_FLOAT - (y - HALF_PI_LOW_FLOAT) : y, x);
}

INLINE double arctan_double(double x) {
    const double size = absolute_double(x);
    const bool is_far = size > 1.0;
    const double y = angle_double(is_far ? 1.0 : size, is_far ? size : 1.0);
    return copysign_double(is_far ? HALF_PI_DOUBLE - (y - HALF_PI_LOW_DOUBLE) : y, x);
}

/* The angle of (x, y): sizes are scaled so that neither their sum overflows nor any is denormal; two
   infinities are as two ones, and one is as a number far from 0. */
INLINE float arctan2_float(float y, float x) {
    const float across = absolute_float(x), up = absolute_float(y);
    const bool is_steep = up > across;
    const float larger = is_steep ? up : across, smaller = is_steep ? across : up;
    const float scale = larger > 4.0f ? 0.5f : 0x1p30f;
    const bool is_infinite = larger == INFINITY;
    const float least = is_infinite ? (smaller == INFINITY ? 1.0f : 0.0f) : smaller * scale;
    const float most = is_infinite || larger == 0.0f ? 1.0f : larger * scale;
    const float angle = angle_float(least, most);
    const float right = is_steep ? HALF_PI_FLOAT - (angle - HALF_PI_LOW_FLOAT) : angle;
    const float left = 2.0f * HALF_PI_FLOAT - (right - 2.0f * HALF_PI_LOW_FLOAT);
    const float whole = copysign_float(1.0f, x) < 0.0f ? left : right;
    return x != x || y != y ? x + y : copysign_float(whole, y);
}

INLINE double arctan2_double(double y, double x) {
    const double across = absolute_double(x), up = absolute_double(y);
    const bool is_steep = up > across;
    const double larger = is_steep ? up : across, smaller = is_steep ? across : up;
    const double scale = larger > 4.0 ? 0.5 : 0x1p60;
    const bool is_infinite = larger == INFINITY;
    const double least = is_infinite ? (smaller == INFINITY ? 1.0 : 0.0) : smaller * scale;
    const double most = is_infinite || larger == 0.0 ? 1.0 : larger * scale;
    const double angle = angle_double(least, most);
    const double right = is_steep ? HALF_PI_DOUBLE - (angle - HALF_PI_LOW_DOUBLE) : angle;
    const double left = 2.0 * HALF_PI_DOUBLE - (right - 2.0 * HALF_PI_LOW_DOUBLE);
    const double whole = copysign_double(1.0, x) < 0.0 ? left : right;
    return x != x || y != y ? x + y : copysign_double(whole, y);
}

CALLED(sin_near)
CALLED(cos_near)
CALLED(tan_near)
CALLED(arcsin)
CALLED(arccos)
CALLED(arctan)
CALLED_WITH_TWO(arctan2)
