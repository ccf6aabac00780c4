/* Hyperbolic functions and their inverses; the tangent is among the exponentials. */

/* |x| = n log 2 + r: of sinh(r), cosh(r) - 1 and a quarter of the powers of 2 that belong to both signs
   of n, so that neither overflows before the result does. */
typedef struct { float n, r, sinh_rest, cosh_rest, sum, difference; } hyperbolic_float;

typedef struct { double n, r, sinh_rest, cosh_rest, sum, difference; } hyperbolic_double;

INLINE float sinh_rest_float(float r, float z) {
    float p = 0x1.a12528p-13f;
    p = fma_float(p, z, 0x1.1110ep-7f);
    p = fma_float(p, z, 0x1.555556p-3f);
    return p * z * r;
}

INLINE double sinh_rest_double(double r, double z) {
    double p = 0x1.af38d534dc1c4p-26;
    p = fma_double(p, z, 0x1.71de0d9c15d41p-19);
    p = fma_double(p, z, 0x1.a01a01a7c8d41p-13);
    p = fma_double(p, z, 0x1.11111111109adp-7);
    p = fma_double(p, z, 0x1.5555555555556p-3);
    return p * z * r;
}

INLINE float cosh_rest_float(float z) {
    float p = 0x1.6d4362p-10f;
    p = fma_float(p, z, 0x1.5554e8p-5f);
    p = fma_float(p, z, 0x1p-1f);
    return p * z;
}

INLINE double cosh_rest_double(double z) {
    double p = 0x1.2891a8bf03e8dp-22;
    p = fma_double(p, z, 0x1.a019b8ef6a285p-16);
    p = fma_double(p, z, 0x1.6c16c17893829p-10);
    p = fma_double(p, z, 0x1.5555555553d4fp-5);
    p = fma_double(p, z, 0x1.0000000000001p-1);
    return p * z;
}

INLINE hyperbolic_float hyperbolic_of_float(float size) {
    const float inside = size > 89.5f ? 89.5f : size;
    REDUCE_FLOAT(inside, 0.0f)
    const int32_t k = low_float(shifted);
    const float z = r * r, large = power_of_2_float(k - 2);
    const float small = n > 100.0f ? 0.0f : power_of_2_float(-k - 2);
    hyperbolic_float y = {
        n, r, sinh_rest_float(r, z), cosh_rest_float(z), large + small, large - small,
    };
    return y;
}

INLINE hyperbolic_double hyperbolic_of_double(double size) {
    const double inside = size > 710.5 ? 710.5 : size;
    REDUCE_DOUBLE(inside, 0.0)
    const int64_t k = low_double(shifted);
    const double z = r * r, large = power_of_2_double(k - 2);
    const double small = n > 100.0 ? 0.0 : power_of_2_double(-k - 2);
    hyperbolic_double y = {
        n, r, sinh_rest_double(r, z), cosh_rest_double(z), large + small, large - small,
    };
    return y;
}

INLINE float sinh_float(float x) {
    const hyperbolic_float h = hyperbolic_of_float(absolute_float(x));
    const float rest = fma_float(h.cosh_rest, h.difference, h.sinh_rest * h.sum);
    const float y = 2.0f * (fma_float(h.r, h.sum, h.difference) + rest);
    return copysign_float(h.n == 0.0f ? h.r + h.sinh_rest : y, x);
}

INLINE double sinh_double(double x) {
    const hyperbolic_double h = hyperbolic_of_double(absolute_double(x));
    const double rest = fma_double(h.cosh_rest, h.difference, h.sinh_rest * h.sum);
    const double y = 2.0 * (fma_double(h.r, h.sum, h.difference) + rest);
    return copysign_double(h.n == 0.0 ? h.r + h.sinh_rest : y, x);
}

INLINE float cosh_float(float x) {
    const hyperbolic_float h = hyperbolic_of_float(absolute_float(x));
    const float rest = fma_float(h.cosh_rest, h.sum, h.sinh_rest * h.difference);
    return 2.0f * (fma_float(h.r, h.difference, h.sum) + rest);
}

INLINE double cosh_double(double x) {
    const hyperbolic_double h = hyperbolic_of_double(absolute_double(x));
    const double rest = fma_double(h.cosh_rest, h.sum, h.sinh_rest * h.difference);
    return 2.0 * (fma_double(h.r, h.difference, h.sum) + rest);
}

/* more log 2 + log(high + low), high at least 1 and low far smaller, as log is worked out. */
INLINE float log_of_sum_float(float high, float low, float more) {
    const int32_t bits = bits_of_float(high) - 0x3f3504f3, k = bits >> 23;
    const float scale = 0.5f * power_of_2_float(1 - k), n = (float)k + more;
    const float f = fma_float(low, scale, float_of_bits((bits & 0x007fffff) + 0x3f3504f3) - 1.0f);
    const float s = f / (2.0f + f), z = s * s;
    const float half = 0.5f * f * f;
    return n * 0x1.62e4p-1f
        - ((half - (s * (half + log_rest_float(z)) + n * 0x1.7f7d1cp-20f)) - f);
}

INLINE double log_of_sum_double(double high, double low, double more) {
    const int64_t bits = bits_of_double(high) - 0x3fe6a09e667f3bcd, k = bits >> 52;
    const double scale = 0.5 * power_of_2_double(1 - k);
    const double n = double_of_bits(bits_of_double(MAGIC_DOUBLE) + k) - MAGIC_DOUBLE + more;
    const double f = fma_double(
        low, scale, double_of_bits((bits & 0x000fffffffffffff) + 0x3fe6a09e667f3bcd) - 1.0);
    const double s = f / (2.0 + f), z = s * s;
    const double half = 0.5 * f * f;
    return n * 0x1.62e42fefa38p-1
        - ((half - (s * (half + log_rest_double(z)) + n * 0x1.ef35793c7673p-45)) - f);
}

/* log(|x| + sqrt(x^2 + 1)), the sum less 1 worked out by itself; far from 0, log(2 |x|). */
INLINE float arcsinh_float(float x) {
    const float size = absolute_float(x), square = size * size;
    const bool is_far = size > 0x1p13f;
    const float t = size + square / (1.0f + sqrt_float(1.0f + square)), u = 1.0f + t;
    const float y = log_of_sum_float(
        is_far ? size : u, is_far ? 0.0f : t - (u - 1.0f), is_far ? 1.0f : 0.0f);
    return size == INFINITY ? x : copysign_float(y, x);
}

INLINE double arcsinh_double(double x) {
    const double size = absolute_double(x), square = size * size;
    const bool is_far = size > 0x1p28;
    const double t = size + square / (1.0 + sqrt_double(1.0 + square)), u = 1.0 + t;
    const double y = log_of_sum_double(
        is_far ? size : u, is_far ? 0.0 : t - (u - 1.0), is_far ? 1.0 : 0.0);
    return size == INFINITY ? x : copysign_double(y, x);
}

INLINE float arccosh_float(float x) {
    const bool is_far = x > 0x1p13f;
    const float over = x - 1.0f, t = over + sqrt_float(over * (over + 2.0f)), u = 1.0f + t;
    const float y = log_of_sum_float(
        is_far ? x : u, is_far ? 0.0f : t - (u - 1.0f), is_far ? 1.0f : 0.0f);
    return x >= 1.0f ? (x == INFINITY ? x : y) : NAN;
}

INLINE double arccosh_double(double x) {
    const bool is_far = x > 0x1p28;
    const double over = x - 1.0, t = over + sqrt_double(over * (over + 2.0)), u = 1.0 + t;
    const double y = log_of_sum_double(
        is_far ? x : u, is_far ? 0.0 : t - (u - 1.0), is_far ? 1.0 : 0.0);
    return x >= 1.0 ? (x == INFINITY ? x : y) : NAN;
}

/* Half the logarithm of (1 + size) / (1 - size) = 2^k (1 + s) / (1 - s): of log's two divisions one is
   enough. k comes from the difference of bits, which makes s at most 1/5. */
INLINE float arctanh_float(float x) {
    const float size = absolute_float(x), above = 1.0f + size, below = 1.0f - size;
    const float above_low = size - (above - 1.0f), below_low = (1.0f - below) - size;
    const int32_t k = (bits_of_float(above) - bits_of_float(below) + 0x00400000) >> 23;
    const float n = (float)k;
    const float power = power_of_2_float(k), scaled = below * power;
    const float s = ((above - scaled) + (above_low - below_low * power)) / (above + scaled), z = s * s;
    float p = 0x1.ea0c8ap-4f;
    p = fma_float(p, z, 0x1.2413e4p-3f);
    p = fma_float(p, z, 0x1.999abcp-3f);
    p = fma_float(p, z, 0x1.555556p-2f);
    const float y = n * 0x1.62e4p-2f + (s + fma_float(p * z, s, n * 0x1.7f7d1cp-21f));
    return size < 1.0f ? copysign_float(y, x) : (size == 1.0f ? copysign_float(INFINITY, x) : NAN);
}

INLINE double arctanh_double(double x) {
    const double size = absolute_double(x), above = 1.0 + size, below = 1.0 - size;
    const double above_low = size - (above - 1.0), below_low = (1.0 - below) - size;
    const int64_t k = (bits_of_double(above) - bits_of_double(below) + 0x0008000000000000) >> 52;
    const double n = double_of_bits(bits_of_double(MAGIC_DOUBLE) + k) - MAGIC_DOUBLE;
    const double power = power_of_2_double(k), scaled = below * power;
    const double s = ((above - scaled) + (above_low - below_low * power)) / (above + scaled), z = s * s;
    double p = 0x1.1b46ed1ab2066p-4;
    p = fma_double(p, z, 0x1.0de861977b65fp-4);
    p = fma_double(p, z, 0x1.3b329b92ac709p-4);
    p = fma_double(p, z, 0x1.745c70c1626f3p-4);
    p = fma_double(p, z, 0x1.c71c73ac80ad9p-4);
    p = fma_double(p, z, 0x1.24924923379b4p-3);
    p = fma_double(p, z, 0x1.999999999a55fp-3);
    p = fma_double(p, z, 0x1.5555555555555p-2);
    const double y = n * 0x1.62e42fefa38p-2 + (s + fma_double(p * z, s, n * 0x1.ef35793c7673p-46));
    return size < 1.0 ? copysign_double(y, x) : (size == 1.0 ? copysign_double(INFINITY, x) : NAN);
}

CALLED(sinh)
CALLED(cosh)
CALLED(arcsinh)
CALLED(arccosh)
CALLED(arctanh)
