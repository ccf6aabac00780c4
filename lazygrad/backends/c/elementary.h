/* What elementary functions for float and double are made of: bits, powers of 2, exact products.

   The functions stand in headers of their own, and are inline, so that loops over them become vectors.
   Straight code without branches or tables: what doesn't hold for an argument is worked out all the
   same, and not chosen. NaN, infinities, signed zeros and denormals keep their meaning. Within
   4 units in the last place over the whole range. Polynomials whose source isn't named go through the
   values at the zeros of Chebyshev's. */

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

/* x y + z, rounded once where they nearly cancel. Without fma the error of the product is found from
   halves of its factors (T. J. Dekker, Numerische Mathematik 18, 1971). */
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__aarch64__)
#define exact_float(x, y, z) __builtin_fmaf(x, y, z)
#define exact_double(x, y, z) __builtin_fma(x, y, z)
#else
INLINE float exact_float(float x, float y, float z) {
    return (float)((double)x * (double)y + (double)z);
}

INLINE double upper_half(double x) {
    const double shifted = x * 0x1.0000002p+27;
    return shifted - (shifted - x);
}

INLINE double exact_double(double x, double y, double z) {
    const double product = x * y;
    const double a = upper_half(x), b = x - a, c = upper_half(y), d = y - c;
    return (product + z) + (((a * c - product) + a * d + b * c) + b * d);
}
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

/* What is added to a small number puts the nearest integer into its low bits. NaN goes through all
   of this as NaN, and so needs no case of its own. */
#define MAGIC_FLOAT 0x1.8p+23f
#define MAGIC_DOUBLE 0x1.8p+52

INLINE int32_t low_float(float shifted) {
    return bits_of_float(shifted) - bits_of_float(MAGIC_FLOAT);
}

INLINE int64_t low_double(double shifted) {
    return bits_of_double(shifted) - bits_of_double(MAGIC_DOUBLE);
}

/* 2^k, once MAGIC and BIAS have been added to k: its low bits are those of the exponent. */
#define BIAS_FLOAT 127.0f
#define BIAS_DOUBLE 1023.0

INLINE float power_of_low_float(float shifted) {
    return float_of_bits((int32_t)((uint32_t)bits_of_float(shifted) << 23));
}

INLINE double power_of_low_double(double shifted) {
    return double_of_bits((int64_t)((uint64_t)bits_of_double(shifted) << 52));
}

/* y 2^k, once MAGIC has been added to k, for y near 1, and a normal result. Of a NaN's bits the sum is
   anything. */
INLINE float raised_float(float y, float shifted) {
    const uint32_t bits = (uint32_t)bits_of_float(shifted) << 23;
    return float_of_bits((int32_t)((uint32_t)bits_of_float(y) + bits));
}

INLINE double raised_double(double y, double shifted) {
    const uint64_t bits = (uint64_t)bits_of_double(shifted) << 52;
    return double_of_bits((int64_t)((uint64_t)bits_of_double(y) + bits));
}

/* y 2^k for any k that a result has, once MAGIC and twice BIAS have been added to k, and y near 1. One
   half of k goes straight into the exponent of y; the other half is a factor, as the largest results
   and denormal ones need. `zero` is 0, or NaN if y is: of a NaN's bits the sum is anything. */
INLINE float scaled_float(float y, float shifted, float zero) {
    const uint32_t bits = (uint32_t)bits_of_float(shifted), half = bits >> 1;
    const uint32_t nearly = (uint32_t)bits_of_float(y) - 0x3f800000 + (half << 23);
    return fma_float(
        float_of_bits((int32_t)nearly), float_of_bits((int32_t)((bits - half) << 23)), zero);
}

INLINE double scaled_double(double y, double shifted, double zero) {
    const uint64_t bits = (uint64_t)bits_of_double(shifted), half = bits >> 1;
    const uint64_t nearly = (uint64_t)bits_of_double(y) - 0x3ff0000000000000 + (half << 52);
    return fma_double(
        double_of_bits((int64_t)nearly), double_of_bits((int64_t)((bits - half) << 52)), zero);
}

/* Functions of one number or of two, called instead of inlined: for single numbers, and where code
   would grow too long for the compiler. It makes a function of vectors of each, which loops call. */
#define CALLED_AS(name, kind, parameters, arguments)                              \
    _Pragma("omp declare simd notinbranch")                                       \
    static __attribute__((noinline)) kind called_##name##_##kind parameters {     \
        return name##_##kind arguments;                                           \
    }
#define CALLED(name)                             \
    CALLED_AS(name, float, (float x), (x))       \
    CALLED_AS(name, double, (double x), (x))
#define CALLED_WITH_TWO(name)                              \
    CALLED_AS(name, float, (float x, float y), (x, y))     \
    CALLED_AS(name, double, (double x, double y), (x, y))
