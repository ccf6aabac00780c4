/* Cube roots, distances and powers. */

/* From the inverse root: its bits are, to within a thirtieth, a constant less a third of those of x. The
   series of (1 - h)^(-1/3), h = 1 - x y^3, makes it better; a step of Newton's gives the last bits. */
INLINE float cbrt_float(float x) {
    const float size = absolute_float(x);
    const bool is_small = size < 0x1p-100f;
    const float a = is_small ? size * 0x1p48f : size;
    const float bits = (float)bits_of_float(a);
    const float guess = float_of_bits((int32_t)fma_float(bits, -0x1.555556p-2f, 0x1.5287dap+30f));
    const float h = 1.0f - a * guess * guess * guess;
    const float series = fma_float(h, fma_float(h, 0x1.61f9aep-3f, 0x1.c71c72p-3f), 0x1.555556p-2f);
    const float y = fma_float(guess * h, series, guess), square = y * y;
    const float t = a * square, error = exact_float(t * t, t, -a);
    const float root = fma_float(error * square, -0x1.555556p-2f, t);
    const float sized = is_small ? root * 0x1p-16f : root;
    return size > 0.0f && size < INFINITY ? copysign_float(sized, x) : x;
}

INLINE double better_inverse_root(double a, double y) {
    const double h = 1.0 - a * y * y * y;
    return fma_double(y * h, fma_double(h, 0x1.c71c71c71c71cp-3, 0x1.5555555555555p-2), y);
}

/* The bits of the upper half alone, as a number: all of them have no conversion that is a vector. */
INLINE double cbrt_double(double x) {
    const double size = absolute_double(x);
    const bool is_small = size < 0x1p-900;
    const double a = size * (is_small ? 0x1p180 : 0x1p-3);
    const int64_t upper = (int64_t)((uint64_t)bits_of_double(a) >> 32);
    const double bits = double_of_bits(bits_of_double(MAGIC_DOUBLE) + upper) - MAGIC_DOUBLE;
    const double start = fma_double(bits, -0x1.5555555555555p-2, MAGIC_DOUBLE + 0x1.54fba5e4p+30);
    const double guess = double_of_bits((int64_t)((uint64_t)bits_of_double(start) << 32));
    const double y = better_inverse_root(a, better_inverse_root(a, guess));
    const double square = y * y, t = a * square, error = exact_double(t * t, t, -a);
    const double root = fma_double(error * square, -0x1.5555555555555p-2, t);
    const double sized = root * (is_small ? 0x1p-60 : 2.0);
    return size > 0.0 && size < INFINITY ? copysign_double(sized, x) : x;
}

/* Squares that would over- or underflow are those of scaled numbers. */
INLINE float hypot_float(float x, float y) {
    const float across = absolute_float(x), up = absolute_float(y);
    const float larger = across > up ? across : up, smaller = across > up ? up : across;
    const bool is_large = larger > 0x1p60f, is_small = larger < 0x1p-50f;
    const float scale = is_large ? 0x1p-70f : (is_small ? 0x1p100f : 1.0f);
    const float back = is_large ? 0x1p70f : (is_small ? 0x1p-100f : 1.0f);
    const float a = larger * scale, b = smaller * scale;
    const float distance = sqrt_float(fma_float(a, a, b * b)) * back;
    return across == INFINITY || up == INFINITY ? INFINITY : distance;
}

INLINE double hypot_double(double x, double y) {
    const double across = absolute_double(x), up = absolute_double(y);
    const double larger = across > up ? across : up, smaller = across > up ? up : across;
    const bool is_large = larger > 0x1p500, is_small = larger < 0x1p-500;
    const double scale = is_large ? 0x1p-600 : (is_small ? 0x1p600 : 1.0);
    const double back = is_large ? 0x1p600 : (is_small ? 0x1p-600 : 1.0);
    const double a = larger * scale, b = smaller * scale;
    const double distance = sqrt_double(fma_double(a, a, b * b)) * back;
    return across == INFINITY || up == INFINITY ? INFINITY : distance;
}

/* What x^y is by the rules of IEEE 754, given |x|^y: the sign of negative numbers to odd powers, NaN
   for powers that aren't whole, and 1 whatever the other operand is. */
INLINE float power_of_size_float(float x, float y, float size) {
    const float half = 0.5f * y;
    const bool is_whole = rint_float(y) == y, is_odd = is_whole && rint_float(half) != half;
    const float signed_size = is_odd ? copysign_float(size, x) : size;
    const float inside = x < 0.0f && x > -INFINITY && !is_whole ? NAN : signed_size;
    const float known = x != x || y != y ? x + y : inside;
    return y == 0.0f || x == 1.0f ? 1.0f : known;
}

INLINE double power_of_size_double(double x, double y, double size) {
    const double half = 0.5 * y;
    const bool is_whole = rint_double(y) == y, is_odd = is_whole && rint_double(half) != half;
    const double signed_size = is_odd ? copysign_double(size, x) : size;
    const double inside = x < 0.0 && x > -INFINITY && !is_whole ? NAN : signed_size;
    const double known = x != x || y != y ? x + y : inside;
    return y == 0.0 || x == 1.0 ? 1.0 : known;
}

/* 2^(y log2 |x|), log2 |x| in double. A y beyond 2^32 gives 0, 1 or infinity as 2^32 does. */
INLINE float power_float(float x, float y) {
    const float size = absolute_float(x);
    const bool is_small = size < 0x1p-126f;
    const int32_t bits = bits_of_float(is_small ? size * 0x1p23f : size) - 0x3f3504f3;
    const float n = (float)(bits >> 23) - (is_small ? 23.0f : 0.0f);
    const double f = float_of_bits((bits & 0x007fffff) + 0x3f3504f3) - 1.0f;
    double p = -0x1.16c9192143833p-4;
    p = fma_double(p, f, 0x1.0c91c8ec04459p-3);
    p = fma_double(p, f, -0x1.140c67e94fcdep-3);
    p = fma_double(p, f, 0x1.0b872a83448f7p-3);
    p = fma_double(p, f, -0x1.23e34ff2dfed7p-3);
    p = fma_double(p, f, 0x1.480da32d9077ap-3);
    p = fma_double(p, f, -0x1.7186b110dbb4p-3);
    p = fma_double(p, f, 0x1.a61c50cd4bc62p-3);
    p = fma_double(p, f, -0x1.ec6f47f38905dp-3);
    p = fma_double(p, f, 0x1.2776b48f57946p-2);
    p = fma_double(p, f, -0x1.7154784e5d08ep-2);
    p = fma_double(p, f, 0x1.ec709de7df48dp-2);
    p = fma_double(p, f, -0x1.71547651d9376p-1);
    p = fma_double(p, f, 0x1.71547652b527p+0);
    const float above = y > 0x1p32f ? 0x1p32f : y, inside = above < -0x1p32f ? -0x1p32f : above;
    const double product = fma_double(p, f, n) * inside;
    const double whole = (product + MAGIC_DOUBLE) - MAGIC_DOUBLE;
    const float r = (float)(product - whole), k = (float)whole;
    const float low = k < -200.0f ? -200.0f : k, within = low > 200.0f ? 200.0f : low;
    const float shifted = within + (MAGIC_FLOAT + 2.0f * BIAS_FLOAT);
    const float e = scaled_float(exp2_of_rest_float(r), shifted, within - within);
    const float edge = (y < 0.0f) == (size == 0.0f) ? INFINITY : 0.0f;
    return power_of_size_float(x, y, size > 0.0f && size < INFINITY ? e : edge);
}

/* log2 in two doubles, 2 artanh(s) / log 2 for s = (m - 1) / (m + 1): the first terms of the series and
   s itself are exact to the error of the error (after J.-M. Muller et al., Handbook of Floating-Point
   Arithmetic, 2nd edition, chapters 4 and 14). */
INLINE double power_double(double x, double y) {
    const double size = absolute_double(x);
    const bool is_small = size < 0x1p-1022;
    const int64_t bits = bits_of_double(is_small ? size * 0x1p54 : size) - 0x3fe6a09e667f3bcd;
    const double m = double_of_bits((bits & 0x000fffffffffffff) + 0x3fe6a09e667f3bcd);
    const double n = double_of_bits(bits_of_double(MAGIC_DOUBLE) + (bits >> 52)) - MAGIC_DOUBLE
        - (is_small ? 54.0 : 0.0);

    const double f = m - 1.0, d = m + 1.0, d_low = m - (d - 1.0), inverse = 1.0 / d;
    const double s = f * inverse, s_low = (exact_double(-s, d, f) - s * d_low) * inverse;
    const double z = s * s, z_low = fma_double(2.0 * s, s_low, exact_double(s, s, -z));
    double p = 0x1.5a609dead895ep-3;
    p = fma_double(p, z, 0x1.59e089a31e6d8p-3);
    p = fma_double(p, z, 0x1.89fed26ce8ca2p-3);
    p = fma_double(p, z, 0x1.c68f2f021b956p-3);
    p = fma_double(p, z, 0x1.0c9a84bf502d5p-2);
    p = fma_double(p, z, 0x1.484b13d79c3bcp-2);
    p = fma_double(p, z, 0x1.a61762a7adfa8p-2);
    p = fma_double(p, z, 0x1.2776c50ef9bfep-1);
    const double third = 0x1.ec709dc3a03fdp-1, tail = p * z, v = third + tail;
    const double v_low = (third - v) + tail + 0x1.d27f05548af0cp-55;
    const double u = z * v, u_low = exact_double(z, v, -u) + fma_double(z, v_low, z_low * v);
    const double first = 0x1.71547652b82fep+1, w = first + u;
    const double w_low = (first - w) + u + (u_low + 0x1.777d0ffda0d24p-55);
    const double log = s * w, log_low = exact_double(s, w, -log) + fma_double(s, w_low, s_low * w);
    const double high = n + log, high_low = (n - high) + log + log_low;

    const double above = y > 0x1p100 ? 0x1p100 : y, inside = above < -0x1p100 ? -0x1p100 : above;
    const double product = inside * high;
    const double rest = fma_double(inside, high_low, exact_double(inside, high, -product));
    const double low = product < -1100.0 ? -1100.0 : product, within = low > 1100.0 ? 1100.0 : low;
    const double bias = MAGIC_DOUBLE + 2.0 * BIAS_DOUBLE, shifted = within + bias;
    const double whole = shifted - bias;
    const double r = (within - whole) + (within == product ? rest : 0.0);
    const double e = scaled_double(exp2_of_rest_double(r), shifted, within - within);
    const double edge = (y < 0.0) == (size == 0.0) ? INFINITY : 0.0;
    return power_of_size_double(x, y, size > 0.0 && size < INFINITY ? e : edge);
}

CALLED(cbrt)
CALLED_WITH_TWO(hypot)
CALLED_WITH_TWO(power)
