/* Columns whose elements lie side by side, turned into rows of a panel: four by four, since neither
   reading nor writing one element at a time keeps a product supplied. Columns are at a distance of
   step, or where a table says. */

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLED(x, y, a, b, c, d) __builtin_shufflevector(x, y, a, b, c, d)
#else
#define SHUFFLED(x, y, a, b, c, d) __builtin_shuffle(x, y, (__typeof__(0 < x)){a, b, c, d})
#endif

#define PANEL(kind, bytes)                                                                          \
    typedef kind kind##_four __attribute__((vector_size(4 * bytes), aligned(bytes), may_alias));    \
    static void panel_##kind(kind *restrict to, int64_t width, const kind *restrict from, int64_t step,\
                             const int32_t *at, int64_t columns, int64_t depth) {                   \
        int64_t q = 0;                                                                              \
        for (; q + 4 <= columns; q += 4) {                                                          \
            const kind *x[4];                                                                       \
            for (int64_t r = 0; r < 4; r++) x[r] = from + (at ? at[q + r] : (q + r) * step);        \
            kind *z = to + q;                                                                       \
            int64_t k = 0;                                                                          \
            for (; k + 4 <= depth; k += 4) {                                                        \
                const kind##_four a = *(const kind##_four *)(x[0] + k);                             \
                const kind##_four b = *(const kind##_four *)(x[1] + k);                             \
                const kind##_four c = *(const kind##_four *)(x[2] + k);                             \
                const kind##_four d = *(const kind##_four *)(x[3] + k);                             \
                const kind##_four ab = SHUFFLED(a, b, 0, 4, 1, 5), ba = SHUFFLED(a, b, 2, 6, 3, 7); \
                const kind##_four cd = SHUFFLED(c, d, 0, 4, 1, 5), dc = SHUFFLED(c, d, 2, 6, 3, 7); \
                *(kind##_four *)(z + k * width) = SHUFFLED(ab, cd, 0, 1, 4, 5);                     \
                *(kind##_four *)(z + (k + 1) * width) = SHUFFLED(ab, cd, 2, 3, 6, 7);               \
                *(kind##_four *)(z + (k + 2) * width) = SHUFFLED(ba, dc, 0, 1, 4, 5);               \
                *(kind##_four *)(z + (k + 3) * width) = SHUFFLED(ba, dc, 2, 3, 6, 7);               \
            }                                                                                       \
            for (; k < depth; k++)                                                                  \
                for (int64_t r = 0; r < 4; r++) z[k * width + r] = x[r][k];                         \
        }                                                                                           \
        for (; q < columns; q++) {                                                                  \
            const kind *x = from + (at ? at[q] : q * step);                                         \
            for (int64_t k = 0; k < depth; k++) to[k * width + q] = x[k];                           \
        }                                                                                           \
    }
PANEL(float, 4)
PANEL(double, 8)
