/* The most that one core can do: multiply and add, in as many independent chains as hide the latency.
   Compiled by peak.py, which gives the vector's bytes as VECTOR and says how often to go round. */

#include <stdint.h>

#define CHAINS 12
#define PEAK(kind)                                                                  \
    typedef kind kind##_vector __attribute__((vector_size(VECTOR)));                \
    __attribute__((optimize("fp-contract=fast"))) kind peak_##kind(int64_t rounds) { \
        kind##_vector x[CHAINS], factor, term;                                      \
        for (int i = 0; i < CHAINS; i++) x[i] = (kind##_vector){0} + (kind)i;       \
        factor = (kind##_vector){0} + (kind)0.999;                                  \
        term = (kind##_vector){0} + (kind)0.001;                                    \
        for (int64_t round = 0; round < rounds; round++)                            \
            for (int i = 0; i < CHAINS; i++) x[i] = x[i] * factor + term;           \
        kind sum = 0;                                                               \
        for (int i = 0; i < CHAINS; i++) sum += x[i][0];                            \
        return sum;                                                                 \
    }
PEAK(float)
PEAK(double)
