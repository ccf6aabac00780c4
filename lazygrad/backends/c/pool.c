/* Threads that take parts of a loop: started once for a process, and asleep while there is nothing.

   One loop is shared out at a time. Who comes while another is at it does all its parts alone, and so
   does a child process until it has threads of its own. Which thread does which part is left open;
   what a part computes is not, so the result is the same for any number of threads. */

#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

typedef void (*part_function)(void *const *values, int64_t part);

#define MOST_THREADS 64
/* Looking this often for work takes some 20 us, about what waking takes. */
#define LOOKS 1000

static pthread_mutex_t door = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t bell = PTHREAD_COND_INITIALIZER;
static atomic_int taken, sleeping, inside;
static int started;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The number of the loop that is open to all, 0 for none; the rest belongs to that loop. */
static atomic_uint open_loop;
static unsigned int loops;
static part_function function;
static void *const *values;
static int64_t parts;
static atomic_llong next_part, seats;

static inline void rest(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void take_parts(void) {
    for (int64_t part; (part = atomic_fetch_add(&next_part, 1)) < parts;) function(values, part);
}

/* Wait for a loop that has not been seen yet. */
static unsigned int next_loop(unsigned int seen) {
    unsigned int now;
    for (int looks = 0; looks < LOOKS; looks++) {
        now = atomic_load(&open_loop);
        if (now && now != seen) return now;
        rest();
    }
    pthread_mutex_lock(&door);
    atomic_fetch_add(&sleeping, 1);
    while (!(now = atomic_load(&open_loop)) || now == seen) pthread_cond_wait(&bell, &door);
    atomic_fetch_sub(&sleeping, 1);
    pthread_mutex_unlock(&door);
    return now;
}

static void *help(void *unused) {
    for (unsigned int seen = 0;;) {
        seen = next_loop(seen);
        /* Inside first, then a second look: a loop that is still open now can't end before this
           thread has left. */
        atomic_fetch_add(&inside, 1);
        if (atomic_load(&open_loop) == seen && atomic_fetch_sub(&seats, 1) > 0) take_parts();
        atomic_fetch_sub(&inside, 1);
    }
    return 0;
}

/* A child has none of its parent's threads. */
static void forget(void) {
    started = 0;
    atomic_store(&open_loop, 0);
    atomic_store(&inside, 0);
    atomic_store(&sleeping, 0);
    atomic_store(&taken, 0);
    pthread_mutex_init(&door, 0);
    pthread_cond_init(&bell, 0);
}

static void prepare(void) { pthread_atfork(0, 0, forget); }

/* Start threads until there are so many, or as many as can be had. */
static void start(int64_t wanted) {
    pthread_once(&once, prepare);
    sigset_t all, before;
    sigfillset(&all);
    /* Signals are for the threads that were there before. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 8 << 20);
    pthread_t thread;
    while (started < wanted && started < MOST_THREADS - 1
           && !pthread_create(&thread, &attributes, help, 0)) started++;
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, 0);
}

void run_parts(int64_t threads, part_function f, void *const *v, int64_t n) {
    if (threads > n) threads = n;
    if (threads < 2 || atomic_exchange(&taken, 1)) {
        for (int64_t part = 0; part < n; part++) f(v, part);
        return;
    }
    if (started < threads - 1) start(threads - 1);
    function = f;
    values = v;
    parts = n;
    atomic_store(&next_part, 0);
    atomic_store(&seats, threads - 1);
    if (!++loops) loops = 1;
    atomic_store(&open_loop, loops);
    int64_t wakened = atomic_load(&sleeping);
    if (wakened) {
        pthread_mutex_lock(&door);
        for (wakened = wakened < threads ? wakened : threads - 1; wakened; wakened--)
            pthread_cond_signal(&bell);
        pthread_mutex_unlock(&door);
    }
    take_parts();
    atomic_store(&open_loop, 0);
    for (int looks = 0; atomic_load(&inside); looks++) looks < LOOKS ? rest() : (void)sched_yield();
    atomic_store(&taken, 0);
}
