/* Elementary functions for float and double, inline, so that loops over them become vectors.

   Straight code without branches or tables: what doesn't hold for an argument is worked out all the
   same, and not chosen. NaN, infinities, signed zeros and denormals keep their meaning. Within
   4 units in the last place over the whole range; what is named after a function of the C library
   alone is that function. exp after W. J. Cody and W. Waite, Software Manual for the Elementary
   Functions (1980), chapter 6; log after K. C. Ng, fdlibm e_log.c (1993). */

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* A loop with a call in it is no vector, however long the loop. */
#define INLINE static inline __attribute__((always_inline))

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__aarch64__)
#define fma_float(x, y, z) __builtin_fmaf(x, y, z)
#define fma_double(x, y, z) __builtin_fma(x, y, z)
#else
#define fma_float(x, y, z) ((x) * (y) + (z))
#define fma_double(x, y, z) ((x) * (y) + (z))
#endif

INLINE float float_of_bits(int32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

INLINE int32_t bits_of_float(float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

INLINE double double_of_bits(int64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

INLINE int64_t bits_of_double(double x) {
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* 2 to the power k, for exponents of normal numbers, and anything at all for what NaN makes of k:
   shifted without a sign, which C defines for every k. */
INLINE float power_of_2_float(int32_t k) {
    return float_of_bits((int32_t)((uint32_t)(k + 127) << 23));
}

INLINE double power_of_2_double(int64_t k) {
    return double_of_bits((int64_t)((uint64_t)(k + 1023) << 52));
}

#define absolute_float(x) __builtin_fabsf(x)
#define absolute_double(x) __builtin_fabs(x)
#define copysign_float(x, y) __builtin_copysignf(x, y)
#define copysign_double(x, y) __builtin_copysign(x, y)
#define sqrt_float(x) __builtin_sqrtf(x)
#define sqrt_double(x) __builtin_sqrt(x)
#define floor_float(x) __builtin_floorf(x)
#define floor_double(x) __builtin_floor(x)
#define ceil_float(x) __builtin_ceilf(x)
#define ceil_double(x) __builtin_ceil(x)
#define trunc_float(x) __builtin_truncf(x)
#define trunc_double(x) __builtin_trunc(x)
#define rint_float(x) __builtin_rintf(x)
#define rint_double(x) __builtin_rint(x)

/* (exp(r) - 1 - r) / r^2 for r within half of log 2. */
INLINE float exp_rest_float(float r) {
    float p = 0x1.a01a02p-13f;
    p = fma_float(p, r, 0x1.6c16c2p-10f);
    p = fma_float(p, r, 0x1.111112p-7f);
    p = fma_float(p, r, 0x1.555556p-5f);
    p = fma_float(p, r, 0x1.555556p-3f);
    return fma_float(p, r, 0.5f);
}

INLINE double exp_rest_double(double r) {
    double p = 0x1.6124613a86d09p-33;
    p = fma_double(p, r, 0x1.1eed8eff8d898p-29);
    p = fma_double(p, r, 0x1.ae64567f544e4p-26);
    p = fma_double(p, r, 0x1.27e4fb7789f5cp-22);
    p = fma_double(p, r, 0x1.71de3a556c734p-19);
    p = fma_double(p, r, 0x1.a01a01a01a01ap-16);
    p = fma_double(p, r, 0x1.a01a01a01a01ap-13);
    p = fma_double(p, r, 0x1.6c16c16c16c17p-10);
    p = fma_double(p, r, 0x1.1111111111111p-7);
    p = fma_double(p, r, 0x1.5555555555555p-5);
    p = fma_double(p, r, 0x1.5555555555555p-3);
    return fma_double(p, r, 0.5);
}

/* What is added to a small number puts the nearest integer into its low bits. NaN goes through all
   of this as NaN, and so needs no case of its own. */
#define MAGIC_FLOAT 0x1.8p+23f
#define MAGIC_DOUBLE 0x1.8p+52

/* x = n log 2 + r. */
#define REDUCE_FLOAT(x)                                              \
    const float shifted = fma_float(x, 0x1.715476p+0f, MAGIC_FLOAT); \
    const float n = shifted - MAGIC_FLOAT;                           \
    const float r = fma_float(n, -0x1.7f7d1cp-20f, fma_float(n, -0x1.62e4p-1f, x));

#define REDUCE_DOUBLE(x)                                                  \
    const double shifted = fma_double(x, 0x1.71547652b82fep+0, MAGIC_DOUBLE); \
    const double n = shifted - MAGIC_DOUBLE;                              \
    const double r = fma_double(n, -0x1.a39ef35793c76p-33, fma_double(n, -0x1.62e42fee00000p-1, x));

INLINE int32_t low_float(float shifted) {
    return bits_of_float(shifted) - bits_of_float(MAGIC_FLOAT);
}

INLINE int64_t low_double(double shifted) {
    return bits_of_double(shifted) - bits_of_double(MAGIC_DOUBLE);
}

/* The power of 2 is two factors, as neither the largest nor denormal ones are one. */
INLINE float exp_float(float x) {
    const float above = x > 104.0f ? 104.0f : x, inside = above < -104.0f ? -104.0f : above;
    REDUCE_FLOAT(inside)
    const float y = fma_float(exp_rest_float(r), r * r, r) + 1.0f;
    const int32_t k = low_float(shifted), half = k >> 1;
    return y * power_of_2_float(half) * power_of_2_float(k - half);
}

INLINE double exp_double(double x) {
    const double above = x > 746.0 ? 746.0 : x, inside = above < -746.0 ? -746.0 : above;
    REDUCE_DOUBLE(inside)
    const double y = fma_double(exp_rest_double(r), r * r, r) + 1.0;
    const int64_t k = low_double(shifted), half = k >> 1;
    return y * power_of_2_double(half) * power_of_2_double(k - half);
}

/* exp(-|x|), by a power of 2 that is never too small and a constant. */
INLINE float exp_of_negative_float(float x) {
    const float below = -absolute_float(x), inside = below < -104.0f ? -104.0f : below;
    REDUCE_FLOAT(inside)
    const float y = fma_float(exp_rest_float(r), r * r, r) + 1.0f;
    return y * power_of_2_float(low_float(shifted) + 25) * 0x1p-25f;
}

INLINE double exp_of_negative_double(double x) {
    const double below = -absolute_double(x), inside = below < -746.0 ? -746.0 : below;
    REDUCE_DOUBLE(inside)
    const double y = fma_double(exp_rest_double(r), r * r, r) + 1.0;
    return y * power_of_2_double(low_double(shifted) + 55) * 0x1p-55;
}

/* 2^n (exp(r) - 1) + (2^n - 1), worked out at half its size so that 2^n doesn't overflow. */
INLINE float expm1_float(float x) {
    const float above = x > 89.0f ? 89.0f : x, inside = above < -20.0f ? -20.0f : above;
    REDUCE_FLOAT(inside)
    const float rest = fma_float(exp_rest_float(r), r * r, r);
    const float half = power_of_2_float(low_float(shifted) - 1);
    const float y = 2.0f * fma_float(half, rest, half - 0.5f);
    return n == 0.0f ? copysign_float(rest, x) : y;
}

INLINE double expm1_double(double x) {
    const double above = x > 710.0 ? 710.0 : x, inside = above < -40.0 ? -40.0 : above;
    REDUCE_DOUBLE(inside)
    const double rest = fma_double(exp_rest_double(r), r * r, r);
    const double half = power_of_2_double(low_double(shifted) - 1);
    const double y = 2.0 * fma_double(half, rest, half - 0.5);
    return n == 0.0 ? copysign_double(rest, x) : y;
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
    float p = 0x1.f13c4cp-3f;
    p = fma_float(p, z, 0x1.23d3dcp-2f);
    p = fma_float(p, z, 0x1.999c26p-2f);
    p = fma_float(p, z, 0x1.555554p-1f);
    float half = 0.5f * f * f;
    float y = n * 0x1.62e3p-1f - ((half - (s * (half + z * p) + n * 0x1.2fefa2p-17f)) - f);
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
    double p = 1.479819860511658591e-01;
    p = fma_double(p, z, 1.531383769920937332e-01);
    p = fma_double(p, z, 1.818357216161805012e-01);
    p = fma_double(p, z, 2.222219843214978396e-01);
    p = fma_double(p, z, 2.857142874366239149e-01);
    p = fma_double(p, z, 3.999999999940941908e-01);
    p = fma_double(p, z, 6.666666666666735130e-01);
    double half = 0.5 * f * f;
    double y = n * 6.93147180369123816490e-01
        - ((half - (s * (half + z * p) + n * 1.90821492927058770002e-10)) - f);
    y = x == INFINITY ? x : y;
    y = x == 0.0 ? -INFINITY : y;
    return x < 0.0 ? NAN : (x == x ? y : x);
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
    const float below = -2.0f * absolute_float(x), inside = below < -20.0f ? -20.0f : below;
    REDUCE_FLOAT(inside)
    const float power = power_of_2_float(low_float(shifted));
    const float t = fma_float(power, fma_float(exp_rest_float(r), r * r, r), power - 1.0f);
    return copysign_float(t / (t + 2.0f), x);
}

INLINE double tanh_double(double x) {
    const double below = -2.0 * absolute_double(x), inside = below < -40.0 ? -40.0 : below;
    REDUCE_DOUBLE(inside)
    const double power = power_of_2_double(low_double(shifted));
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

/* x = n pi / 2 + r. With fma the first difference is exact, and so is what the second and third leave
   but for one rounding, as long as n is one that the sum with MAGIC holds: up to NEAR, far beyond
   which arguments seldom are. Kernels go on with the C library's functions where one is. */
#define NEAR_FLOAT 0x1p+20f
#define NEAR_DOUBLE 0x1p+30

INLINE float sine_float(float r, float z) {
    float p = -0x1.9943f2p-13f;
    p = fma_float(p, z, 0x1.11064ap-7f);
    p = fma_float(p, z, -0x1.55554ap-3f);
    return fma_float(p * z, r, r);
}

INLINE float cosine_float(float z) {
    float p = 0x1.99eb9cp-16f;
    p = fma_float(p, z, -0x1.6c0c1cp-10f);
    p = fma_float(p, z, 0x1.55554ap-5f);
    return fma_float(p, z * z, fma_float(-0.5f, z, 1.0f));
}

INLINE double sine_double(double r, double z) {
    double p = 1.58969099521155010221e-10;
    p = fma_double(p, z, -2.50507602534068634195e-08);
    p = fma_double(p, z, 2.75573137070700676789e-06);
    p = fma_double(p, z, -1.98412698298579493134e-04);
    p = fma_double(p, z, 8.33333333332248946124e-03);
    p = fma_double(p, z, -1.66666666666666324348e-01);
    return fma_double(p * z, r, r);
}

INLINE double cosine_double(double z) {
    double p = -1.13596475577881948265e-11;
    p = fma_double(p, z, 2.08757232129817482790e-09);
    p = fma_double(p, z, -2.75573143513906633035e-07);
    p = fma_double(p, z, 2.48015872894767294178e-05);
    p = fma_double(p, z, -1.38888888888741095749e-03);
    p = fma_double(p, z, 4.16666666666666019037e-02);
    return fma_double(p, z * z, fma_double(-0.5, z, 1.0));
}

/* The sine a quarter of a turn on, so many times. */
INLINE float turned_float(float x, int32_t quarters) {
    const float shifted = fma_float(x, 0x1.45f306p-1f, MAGIC_FLOAT), n = shifted - MAGIC_FLOAT;
    float r = fma_float(n, -0x1.921fb6p+0f, x);
    r = fma_float(n, 0x1.777a5cp-25f, r);
    r = fma_float(n, 0x1.ee59dap-50f, r);
    const int32_t q = low_float(shifted) + quarters;
    const float z = r * r, y = q & 1 ? cosine_float(z) : sine_float(r, z);
    return q & 2 ? -y : y;
}

INLINE double turned_double(double x, int64_t quarters) {
    const double shifted = fma_double(x, 0x1.45f306dc9c883p-1, MAGIC_DOUBLE);
    const double n = shifted - MAGIC_DOUBLE;
    double r = fma_double(n, -0x1.921fb54442d18p+0, x);
    r = fma_double(n, -0x1.1a62633145c07p-54, r);
    r = fma_double(n, 0x1.f1976b7ed8fbcp-110, r);
    const int64_t q = low_double(shifted) + quarters;
    const double z = r * r, y = q & 1 ? cosine_double(z) : sine_double(r, z);
    return q & 2 ? -y : y;
}

INLINE float sin_near_float(float x) { return x == 0.0f ? x : turned_float(x, 0); }
INLINE double sin_near_double(double x) { return x == 0.0 ? x : turned_double(x, 0); }
INLINE float cos_near_float(float x) { return turned_float(x, 1); }
INLINE double cos_near_double(double x) { return turned_double(x, 1); }

/* erf(x) / x for sizes below 1, and exp(x^2) erfc(x) (1 + 2 x) for all sizes: polynomials through the
   zeros of Chebyshev's. What squaring rounds off is put back by the second term of exp. */
INLINE double erf_near_double(double x) {
    const double z = x * x;
    double p = -0x1.ac9585a44fe29p-31;
    p = fma_double(p, z, 0x1.d76af6ca49787p-27);
    p = fma_double(p, z, -0x1.5c131500d3f88p-23);
    p = fma_double(p, z, 0x1.b981d78881a5dp-20);
    p = fma_double(p, z, -0x1.f4ca838adb73bp-17);
    p = fma_double(p, z, 0x1.f9a2be4f731a1p-14);
    p = fma_double(p, z, -0x1.c02db0665e53dp-11);
    p = fma_double(p, z, 0x1.565bccfa44156p-8);
    p = fma_double(p, z, -0x1.b82ce31203772p-6);
    p = fma_double(p, z, 0x1.ce2f21a040f66p-4);
    p = fma_double(p, z, -0x1.812746b0379c1p-2);
    p = fma_double(p, z, 0x1.20dd750429b6dp+0);
    return x * p;
}

INLINE double erfc_of_size_double(double x) {
    const double size = absolute_double(x), s = size > 28.0 ? 28.0 : size;
    const double t = (s - 4.0) / (s + 4.0);
    double p = -0x1.f47207b168acdp-30;
    p = fma_double(p, t, -0x1.d5bb4c6d5b92dp-27);
    p = fma_double(p, t, -0x1.09198a32cd9a9p-27);
    p = fma_double(p, t, 0x1.ef6c0c38d1a2bp-24);
    p = fma_double(p, t, 0x1.0d535fce28f99p-24);
    p = fma_double(p, t, -0x1.c05fc977974eap-21);
    p = fma_double(p, t, 0x1.4392983419eddp-22);
    p = fma_double(p, t, 0x1.7fb88e391a9fep-18);
    p = fma_double(p, t, -0x1.78a43458cca4bp-17);
    p = fma_double(p, t, -0x1.996ad056e530bp-16);
    p = fma_double(p, t, 0x1.3be0b393ee921p-13);
    p = fma_double(p, t, -0x1.a1de7c6e9ac9cp-13);
    p = fma_double(p, t, -0x1.8d4a9dc0d22f3p-11);
    p = fma_double(p, t, 0x1.49c671893963fp-8);
    p = fma_double(p, t, -0x1.0962388367b2fp-6);
    p = fma_double(p, t, 0x1.3079edfa1033fp-5);
    p = fma_double(p, t, -0x1.0fb06dfe46987p-4);
    p = fma_double(p, t, 0x1.7fee004df6263p-4);
    p = fma_double(p, t, -0x1.9ddb23c3e98a6p-4);
    p = fma_double(p, t, 0x1.16ecefcfa6077p-4);
    p = fma_double(p, t, 0x1.f7f5df66fd951p-7);
    p = fma_double(p, t, -0x1.1df1ad154a29cp-3);
    p = fma_double(p, t, 0x1.3ba5916e9fd7fp+0);
    const double square = s * s, e = exp_double(-square);
    return (e - e * fma_double(s, s, -square)) * (p / fma_double(2.0, s, 1.0));
}

INLINE double erf_double(double x) {
    const double far = copysign_double(1.0 - erfc_of_size_double(x), x);
    return absolute_double(x) < 1.0 ? erf_near_double(x) : far;
}

INLINE double erfc_double(double x) {
    const double y = erfc_of_size_double(x), far = x < 0.0 ? 2.0 - y : y;
    return absolute_double(x) < 0.5 ? 1.0 - erf_near_double(x) : far;
}

INLINE float erf_near_float(float x) {
    const float z = x * x;
    float p = 0x1.4a569p-14f;
    p = fma_float(p, z, -0x1.a45088p-11f);
    p = fma_float(p, z, 0x1.54127p-8f);
    p = fma_float(p, z, -0x1.b7fabap-6f);
    p = fma_float(p, z, 0x1.ce2d1p-4f);
    p = fma_float(p, z, -0x1.81273ep-2f);
    p = fma_float(p, z, 0x1.20dd74p+0f);
    return x * p;
}

INLINE float erfc_of_size_float(float x) {
    const float size = absolute_float(x), s = size > 10.5f ? 10.5f : size;
    const float t = (s - 2.0f) / (s + 2.0f);
    float p = 0x1.c2a784p-16f;
    p = fma_float(p, t, -0x1.7be4f4p-12f);
    p = fma_float(p, t, -0x1.47ab4ap-10f);
    p = fma_float(p, t, 0x1.4dd422p-10f);
    p = fma_float(p, t, 0x1.1afa02p-7f);
    p = fma_float(p, t, -0x1.07a318p-7f);
    p = fma_float(p, t, -0x1.bc0b28p-5f);
    p = fma_float(p, t, 0x1.4ffb3ep-3f);
    p = fma_float(p, t, -0x1.540846p-3f);
    p = fma_float(p, t, -0x1.7bf602p-4f);
    p = fma_float(p, t, 0x1.46e80ep+0f);
    const float square = s * s, e = exp_float(-square);
    return (e - e * fma_float(s, s, -square)) * (p / fma_float(2.0f, s, 1.0f));
}

INLINE float erf_float(float x) {
    const float far = copysign_float(1.0f - erfc_of_size_float(x), x);
    return absolute_float(x) < 1.0f ? erf_near_float(x) : far;
}

INLINE float erfc_float(float x) {
    const float y = erfc_of_size_float(x), far = x < 0.0f ? 2.0f - y : y;
    return absolute_float(x) < 0.5f ? 1.0f - erf_near_float(x) : far;
}

/* The C library's own, an element at a time: those named c_ are left to NumPy where arrays are long. */
#define c_exp2_float exp2f
#define c_exp2_double exp2
#define c_log2_float log2f
#define c_log2_double log2
#define c_log10_float log10f
#define c_log10_double log10
#define c_cbrt_float cbrtf
#define c_cbrt_double cbrt
#define c_power_float powf
#define c_power_double pow
#define c_hypot_float hypotf
#define c_hypot_double hypot
#define sin_float sinf
#define sin_double sin
#define cos_float cosf
#define cos_double cos
#define c_tan_float tanf
#define c_tan_double tan
#define c_arcsin_float asinf
#define c_arcsin_double asin
#define c_arccos_float acosf
#define c_arccos_double acos
#define c_arctan_float atanf
#define c_arctan_double atan
#define c_arctan2_float atan2f
#define c_arctan2_double atan2
#define c_sinh_float sinhf
#define c_sinh_double sinh
#define c_cosh_float coshf
#define c_cosh_double cosh
#define c_arcsinh_float asinhf
#define c_arcsinh_double asinh
#define c_arccosh_float acoshf
#define c_arccosh_double acosh
#define c_arctanh_float atanhf
#define c_arctanh_double atanh

/* The same, called instead of inlined: for single numbers, and where code would grow too long for the
   compiler. It makes a function of vectors of each, which loops call. */
#define CALLED(name)                                                  \
    _Pragma("omp declare simd notinbranch")                           \
    static __attribute__((noinline)) float called_##name##_float(float x) { \
        return name##_float(x);                                       \
    }                                                                 \
    _Pragma("omp declare simd notinbranch")                           \
    static __attribute__((noinline)) double called_##name##_double(double x) { \
        return name##_double(x);                                      \
    }
CALLED(exp)
CALLED(expm1)
CALLED(log)
CALLED(log1p)
CALLED(tanh)
CALLED(sigmoid)
CALLED(softplus)
CALLED(erf)
CALLED(erfc)
CALLED(sin_near)
CALLED(cos_near)
