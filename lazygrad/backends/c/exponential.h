/* Exponentials, logarithms, and what is made of the two alone.

   exp after W. J. Cody and W. Waite, Software Manual for the Elementary Functions (1980), chapter 6;
   log after K. C. Ng, fdlibm e_log.c (1993). */

/* (exp(r) - 1 - r) / r^2 for r within half of log 2: of all such polynomials those whose error, times
   r^2, is smallest beside r (by E. Y. Remez's exchange). */
INLINE float exp_rest_float(float r) {
    float p = 0x1.6d990cp-10f;
    p = fma_float(p, r, 0x1.1227fep-7f);
    p = fma_float(p, r, 0x1.555486p-5f);
    p = fma_float(p, r, 0x1.5554b0p-3f);
    return fma_float(p, r, 0.5f);
}

INLINE double exp_rest_double(double r) {
    double p = 0x1.af769903dcd68p-26;
    p = fma_double(p, r, 0x1.28a2ab3d35faep-22);
    p = fma_double(p, r, 0x1.71ddea10fdbc4p-19);
    p = fma_double(p, r, 0x1.a019a6861a8afp-16);
    p = fma_double(p, r, 0x1.a01a01b5d33eap-13);
    p = fma_double(p, r, 0x1.6c16c17f375b8p-10);
    p = fma_double(p, r, 0x1.111111110e6e2p-7);
    p = fma_double(p, r, 0x1.55555555520f4p-5);
    p = fma_double(p, r, 0x1.555555555555cp-3);
    return fma_double(p, r, 0x1.0000000000005p-1);
}

INLINE float exp_of_rest_float(float r) {
    return fma_float(fma_float(exp_rest_float(r), r, 1.0f), r, 1.0f);
}

INLINE double exp_of_rest_double(double r) {
    return fma_double(fma_double(exp_rest_double(r), r, 1.0), r, 1.0);
}

/* x = n log 2 + r. `bias` goes into the low bits of `shifted`, beside n. */
#define REDUCE_FLOAT(x, bias)                                                 \
    const float shifted = fma_float(x, 0x1.715476p+0f, MAGIC_FLOAT + (bias)); \
    const float n = shifted - (MAGIC_FLOAT + (bias));                         \
    const float r = fma_float(n, -0x1.7f7d1cp-20f, fma_float(n, -0x1.62e4p-1f, x));

#define REDUCE_DOUBLE(x, bias)                                                       \
    const double shifted = fma_double(x, 0x1.71547652b82fep+0, MAGIC_DOUBLE + (bias)); \
    const double n = shifted - (MAGIC_DOUBLE + (bias));                              \
    const double r = fma_double(n, -0x1.a39ef35793c76p-33, fma_double(n, -0x1.62e42fee00000p-1, x));

INLINE float exp_float(float x) {
    const float above = x > 104.0f ? 104.0f : x, inside = above < -104.0f ? -104.0f : above;
    REDUCE_FLOAT(inside, 2.0f * BIAS_FLOAT)
    return scaled_float(exp_of_rest_float(r), shifted, inside - inside);
}

INLINE double exp_double(double x) {
    const double above = x > 746.0 ? 746.0 : x, inside = above < -746.0 ? -746.0 : above;
    REDUCE_DOUBLE(inside, 2.0 * BIAS_DOUBLE)
    return scaled_double(exp_of_rest_double(r), shifted, inside - inside);
}

/* exp(-|x|), by a power of 2 that is never too small and a constant. */
INLINE float exp_of_negative_float(float x) {
    const float below = -absolute_float(x), inside = below < -104.0f ? -104.0f : below;
    REDUCE_FLOAT(inside, 25.0f)
    const float y = raised_float(exp_of_rest_float(r), shifted);
    return fma_float(y, 0x1p-25f, inside - inside);
}

INLINE double exp_of_negative_double(double x) {
    const double below = -absolute_double(x), inside = below < -746.0 ? -746.0 : below;
    REDUCE_DOUBLE(inside, 55.0)
    const double y = raised_double(exp_of_rest_double(r), shifted);
    return fma_double(y, 0x1p-55, inside - inside);
}

/* 2^x = 2^n 2^r, r within a half. */
INLINE float exp2_of_rest_float(float r) {
    float p = 0x1.44138ap-13f;
    p = fma_float(p, r, 0x1.5f089p-10f);
    p = fma_float(p, r, 0x1.3b2a54p-7f);
    p = fma_float(p, r, 0x1.c6af6cp-5f);
    p = fma_float(p, r, 0x1.ebfbep-3f);
    p = fma_float(p, r, 0x1.62e43p-1f);
    return fma_float(p, r, 1.0f);
}

INLINE double exp2_of_rest_double(double r) {
    double p = 0x1.e9d3fe3952179p-32;
    p = fma_double(p, r, 0x1.e6063f7217bc6p-28);
    p = fma_double(p, r, 0x1.b524fae627834p-24);
    p = fma_double(p, r, 0x1.62bfd47773353p-20);
    p = fma_double(p, r, 0x1.ffcbfc670dcd4p-17);
    p = fma_double(p, r, 0x1.430913096fd9fp-13);
    p = fma_double(p, r, 0x1.5d87fe78a5276p-10);
    p = fma_double(p, r, 0x1.3b2ab6fba1ddap-7);
    p = fma_double(p, r, 0x1.c6b08d704a0c2p-5);
    p = fma_double(p, r, 0x1.ebfbdff82c598p-3);
    p = fma_double(p, r, 0x1.62e42fefa39efp-1);
    return fma_double(p, r, 1.0);
}

INLINE float exp2_float(float x) {
    const float above = x > 129.0f ? 129.0f : x, inside = above < -151.0f ? -151.0f : above;
    const float bias = MAGIC_FLOAT + 2.0f * BIAS_FLOAT, shifted = inside + bias;
    return scaled_float(exp2_of_rest_float(inside - (shifted - bias)), shifted, inside - inside);
}

INLINE double exp2_double(double x) {
    const double above = x > 1025.0 ? 1025.0 : x, inside = above < -1076.0 ? -1076.0 : above;
    const double bias = MAGIC_DOUBLE + 2.0 * BIAS_DOUBLE, shifted = inside + bias;
    return scaled_double(exp2_of_rest_double(inside - (shifted - bias)), shifted, inside - inside);
}

/* 2^n (exp(r) - 1) + (2^n - 1), worked out at half its size so that 2^n doesn't overflow. */
INLINE float expm1_float(float x) {
    const float above = x > 89.0f ? 89.0f : x, inside = above < -20.0f ? -20.0f : above;
    REDUCE_FLOAT(inside, BIAS_FLOAT - 1.0f)
    const float rest = fma_float(exp_rest_float(r), r * r, r);
    const float half = power_of_low_float(shifted);
    const float y = 2.0f * fma_float(half, rest, half - 0.5f);
    return n == 0.0f ? copysign_float(rest, x) : y;
}

INLINE double expm1_double(double x) {
    const double above = x > 710.0 ? 710.0 : x, inside = above < -40.0 ? -40.0 : above;
    REDUCE_DOUBLE(inside, BIAS_DOUBLE - 1.0)
    const double rest = fma_double(exp_rest_double(r), r * r, r);
    const double half = power_of_low_double(shifted);
    const double y = 2.0 * fma_double(half, rest, half - 0.5);
    return n == 0.0 ? copysign_double(rest, x) : y;
}

/* s^2 P(s^2), by z = s^2. */
INLINE float log_rest_float(float z) {
    float p = 0x1.f13c4cp-3f;
    p = fma_float(p, z, 0x1.23d3dcp-2f);
    p = fma_float(p, z, 0x1.999c26p-2f);
    p = fma_float(p, z, 0x1.555554p-1f);
    return z * p;
}

INLINE double log_rest_double(double z) {
    double p = 1.479819860511658591e-01;
    p = fma_double(p, z, 1.531383769920937332e-01);
    p = fma_double(p, z, 1.818357216161805012e-01);
    p = fma_double(p, z, 2.222219843214978396e-01);
    p = fma_double(p, z, 2.857142874366239149e-01);
    p = fma_double(p, z, 3.999999999940941908e-01);
    p = fma_double(p, z, 6.666666666666735130e-01);
    return z * p;
}

/* x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), and s = f / (2 + f):
   log(1 + f) = f - s (f - s^2 P(s^2)), the series of the inverse hyperbolic tangent. */
INLINE float log_float(float x) {
    bool is_small = x < 0x1p-126f;
    float scaled = is_small ? x * 0x1p23f : x;
    int32_t bits = bits_of_float(scaled) - 0x3f3504f3;
    int32_t k = bits >> 23;
    float f = float_of_bits((bits & 0x007fffff) + 0x3f3504f3) - 1.0f;
    float n = (float)(k - (is_small ? 23 : 0));
    float s = f / (2.0f + f), z = s * s;
    float half = 0.5f * f * f;
    float y = n * 0x1.62e3p-1f
        - ((half - (s * (half + log_rest_float(z)) + n * 0x1.2fefa2p-17f)) - f);
    y = x == INFINITY ? x : y;
    y = x == 0.0f ? -INFINITY : y;
    return x < 0.0f ? NAN : (x == x ? y : x);
}

INLINE double log_double(double x) {
    bool is_small = x < 0x1p-1022;
    double scaled = is_small ? x * 0x1p54 : x;
    int64_t bits = bits_of_double(scaled) - 0x3fe6a09e667f3bcd;
    int64_t k = bits >> 52;
    double f = double_of_bits((bits & 0x000fffffffffffff) + 0x3fe6a09e667f3bcd) - 1.0;
    /* Exact for small integers, and unlike a conversion a vector everywhere. */
    double n = double_of_bits(bits_of_double(0x1.8p+52) + k) - 0x1.8p+52 - (is_small ? 54.0 : 0.0);
    double s = f / (2.0 + f), z = s * s;
    double half = 0.5 * f * f;
    double y = n * 6.93147180369123816490e-01
        - ((half - (s * (half + log_rest_double(z)) + n * 1.90821492927058770002e-10)) - f);
    y = x == INFINITY ? x : y;
    y = x == 0.0 ? -INFINITY : y;
    return x < 0.0 ? NAN : (x == x ? y : x);
}

/* For logarithms to other bases: n and log(1 + f), the latter in two parts. */
typedef struct { float n, high, low; } logarithm_float;
typedef struct { double n, high, low; } logarithm_double;

INLINE logarithm_float logarithm_of_float(float x) {
    const bool is_small = x < 0x1p-126f;
    const int32_t bits = bits_of_float(is_small ? x * 0x1p23f : x) - 0x3f3504f3;
    const float f = float_of_bits((bits & 0x007fffff) + 0x3f3504f3) - 1.0f;
    float p = -0x1.43b246p-4f;
    p = fma_float(p, f, 0x1.02814ep-3f);
    p = fma_float(p, f, -0x1.0a33eap-3f);
    p = fma_float(p, f, 0x1.231ce6p-3f);
    p = fma_float(p, f, -0x1.54d03ep-3f);
    p = fma_float(p, f, 0x1.999f14p-3f);
    p = fma_float(p, f, -0x1.0000cep-2f);
    p = fma_float(p, f, 0x1.555554p-2f);
    const float square = f * f, high = fma_float(-0.5f, square, f);
    logarithm_float y = {
        (float)(bits >> 23) - (is_small ? 23.0f : 0.0f),
        high,
        fma_float(-0.5f, square, f - high) + square * f * p,
    };
    return y;
}

INLINE logarithm_double logarithm_of_double(double x) {
    const bool is_small = x < 0x1p-1022;
    const int64_t bits = bits_of_double(is_small ? x * 0x1p54 : x) - 0x3fe6a09e667f3bcd;
    const double f = double_of_bits((bits & 0x000fffffffffffff) + 0x3fe6a09e667f3bcd) - 1.0;
    const double s = f / (2.0 + f), z = s * s;
    const double half = 0.5 * f * f, high = f - half;
    logarithm_double y = {
        double_of_bits(bits_of_double(MAGIC_DOUBLE) + (bits >> 52)) - MAGIC_DOUBLE
            - (is_small ? 54.0 : 0.0),
        high,
        ((f - high) - half) + s * (half + log_rest_double(z)),
    };
    return y;
}

/* Exact for powers of 2, as the rest is 0. */
INLINE float log2_float(float x) {
    const logarithm_float part = logarithm_of_float(x);
    const float y = fma_float(part.high + part.low, 0x1.715476p+0f, part.n);
    return x > 0.0f ? (x == INFINITY ? x : y) : (x == 0.0f ? -INFINITY : NAN);
}

INLINE double log2_double(double x) {
    const logarithm_double part = logarithm_of_double(x);
    const double y = fma_double(part.high + part.low, 0x1.71547652b82fep+0, part.n);
    return x > 0.0 ? (x == INFINITY ? x : y) : (x == 0.0 ? -INFINITY : NAN);
}

/* n log10(2), exact, and the logarithm of the rest in two parts each: what is rounded at the end is all
   but exact, and so are the logarithms of powers of 10. */
INLINE float log10_float(float x) {
    const logarithm_float part = logarithm_of_float(x);
    const float n = part.n * 0x1.344p-2f, rest = part.high * 0x1.bcb7b2p-2f;
    const float sum = n + rest;
    const float low = exact_float(part.high, 0x1.bcb7b2p-2f, -rest) + ((n - sum) + rest);
    const float lower = fma_float(
        part.low, 0x1.bcb7b2p-2f, fma_float(part.high, -0x1.5b235ep-27f, part.n * 0x1.3509f8p-18f));
    const float y = sum + (low + lower);
    return x > 0.0f ? (x == INFINITY ? x : y) : (x == 0.0f ? -INFINITY : NAN);
}

INLINE double log10_double(double x) {
    const logarithm_double part = logarithm_of_double(x);
    const double n = part.n * 0x1.34413509f78p-2, rest = part.high * 0x1.bcb7b1526e50ep-2;
    const double sum = n + rest;
    const double low = exact_double(part.high, 0x1.bcb7b1526e50ep-2, -rest) + ((n - sum) + rest);
    const double lower = fma_double(
        part.low, 0x1.bcb7b1526e50ep-2,
        fma_double(part.high, 0x1.95355baaafad3p-57, part.n * 0x1.fef311f12b358p-46));
    const double y = sum + (low + lower);
    return x > 0.0 ? (x == INFINITY ? x : y) : (x == 0.0 ? -INFINITY : NAN);
}

/* log(u) x / (u - 1) for the rounded u = 1 + x: the error of u cancels (W. Kahan). */
INLINE float log1p_float(float x) {
    float u = 1.0f + x;
    float y = log_float(u) * (x / (u - 1.0f));
    return u == 1.0f || x == INFINITY ? x : y;
}

INLINE double log1p_double(double x) {
    double u = 1.0 + x;
    double y = log_double(u) * (x / (u - 1.0));
    return u == 1.0 || x == INFINITY ? x : y;
}

/* t / (t + 2) for t = exp(-2 |x|) - 1, with the sign of x. */
INLINE float tanh_float(float x) {
    const float half = -absolute_float(x), below = half + half, inside = below < -20.0f ? -20.0f : below;
    REDUCE_FLOAT(inside, BIAS_FLOAT)
    const float power = power_of_low_float(shifted);
    const float t = fma_float(power, fma_float(exp_rest_float(r), r * r, r), power - 1.0f);
    return copysign_float(t / (t + 2.0f), x);
}

INLINE double tanh_double(double x) {
    const double half = -absolute_double(x), below = half + half, inside = below < -40.0 ? -40.0 : below;
    REDUCE_DOUBLE(inside, BIAS_DOUBLE)
    const double power = power_of_low_double(shifted);
    const double t = fma_double(power, fma_double(exp_rest_double(r), r * r, r), power - 1.0);
    return copysign_double(t / (t + 2.0), x);
}

INLINE float sigmoid_float(float x) {
    const float e = exp_of_negative_float(x);
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

INLINE double sigmoid_double(double x) {
    const double e = exp_of_negative_double(x);
    return (x < 0.0 ? e : 1.0) / (1.0 + e);
}

INLINE float softplus_float(float x) {
    return (x < 0.0f ? 0.0f : x) + log1p_float(exp_of_negative_float(x));
}

INLINE double softplus_double(double x) {
    return (x < 0.0 ? 0.0 : x) + log1p_double(exp_of_negative_double(x));
}

INLINE float logaddexp_float(float x, float y) {
    float d = x - y;
    float larger = x > y || x != x ? x : y;
    return x == y ? x + 0x1.62e43p-1f : larger + log1p_float(exp_of_negative_float(d));
}

INLINE double logaddexp_double(double x, double y) {
    double d = x - y;
    double larger = x > y || x != x ? x : y;
    return x == y ? x + 0x1.62e42fefa39efp-1 : larger + log1p_double(exp_of_negative_double(d));
}

INLINE float logaddexp2_float(float x, float y) {
    float d = x - y;
    float larger = x > y || x != x ? x : y;
    float smaller = exp2_float(-absolute_float(d));
    return x == y ? x + 1.0f : larger + log1p_float(smaller) * 0x1.715476p+0f;
}

INLINE double logaddexp2_double(double x, double y) {
    double d = x - y;
    double larger = x > y || x != x ? x : y;
    double smaller = exp2_double(-absolute_double(d));
    return x == y ? x + 1.0 : larger + log1p_double(smaller) * 0x1.71547652b82fep+0;
}

CALLED(exp)
CALLED(exp2)
CALLED(expm1)
CALLED(log)
CALLED(log2)
CALLED(log10)
CALLED(log1p)
CALLED(tanh)
CALLED(sigmoid)
CALLED(softplus)
CALLED_WITH_TWO(logaddexp)
CALLED_WITH_TWO(logaddexp2)
