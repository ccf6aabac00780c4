/* The error function and its complement. */

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
    return (e - e * exact_double(s, s, -square)) * (p / fma_double(2.0, s, 1.0));
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
    return (e - e * exact_float(s, s, -square)) * (p / fma_float(2.0f, s, 1.0f));
}

INLINE float erf_float(float x) {
    const float far = copysign_float(1.0f - erfc_of_size_float(x), x);
    return absolute_float(x) < 1.0f ? erf_near_float(x) : far;
}

INLINE float erfc_float(float x) {
    const float y = erfc_of_size_float(x), far = x < 0.0f ? 2.0f - y : y;
    return absolute_float(x) < 0.5f ? 1.0f - erf_near_float(x) : far;
}

CALLED(erf)
CALLED(erfc)
