#include "bundle/loader/cpu.h"

#include <elf.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#ifndef EM_LOONGARCH
#define EM_LOONGARCH 258
#endif

#if defined(__x86_64__)
/* Whether the kernel saves the registers in mask (XCR0): a feature that it does not save is not usable. */
static bool saves(unsigned mask)
{
    unsigned a, b, c, d, low, high;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return false;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & mask) == mask;
}

/* x86-64 psABI, 3.1.1: the micro-architecture levels. glibc decides alike (sysdeps/x86_64/dl-hwcaps_subdirs.c). */
unsigned em_cpu_level(void)
{
    const unsigned v2 = bit_SSE3 | bit_SSSE3 | bit_CMPXCHG16B | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT;
    const unsigned v3_1 = bit_FMA | bit_MOVBE | bit_AVX | bit_F16C, v3_7 = bit_BMI | bit_AVX2 | bit_BMI2;
    const unsigned v4_7 = bit_AVX512F | bit_AVX512DQ | bit_AVX512CD | bit_AVX512BW | bit_AVX512VL;
    unsigned a, b, b7 = 0, c, c1, d, ext = 0;

    if (!__get_cpuid(1, &a, &b, &c1, &d))
        return 1;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
        b7 = b;
    if (__get_cpuid(0x80000001, &a, &b, &c, &d))
        ext = c;
    if ((c1 & v2) != v2 || !(ext & bit_LAHF_LM))
        return 1;
    if ((c1 & v3_1) != v3_1 || (b7 & v3_7) != v3_7 || !(ext & bit_LZCNT) || !saves(0x6))
        return 2;
    return (b7 & v4_7) == v4_7 && saves(0xe6) ? 4 : 3;
}

/* init_cpu_features: Intel's own processors get a platform name of their own. */
static const char *intel_platform(unsigned level)
{
    unsigned a, b, c, d;

    if (!__get_cpuid(0, &a, &b, &c, &d) || b != signature_INTEL_ebx || c != signature_INTEL_ecx || d != signature_INTEL_edx)
        return NULL;
    return level >= 3 ? "haswell" : NULL;
}
#else
unsigned em_cpu_level(void)
{
    return 0;
}
static const char *intel_platform(unsigned level)
{
    (void)level;
    return NULL;
}
#endif

static bool is_native(uint16_t machine)
{
#if defined(__x86_64__)
    return machine == EM_X86_64;
#elif defined(__aarch64__)
    return machine == EM_AARCH64;
#else
    (void)machine;
    return false;
#endif
}

const char *em_cpu_platform(uint16_t machine)
{
    const char *intel = is_native(machine) ? intel_platform(em_cpu_level()) : NULL;

    if (intel)
        return intel;
    switch (machine) {
    case EM_X86_64: return "x86_64";
    case EM_AARCH64: return "aarch64";
    case EM_386: return "i686";
    case EM_ARM: return "v7l";
    default: return NULL;
    }
}

/* All combinations of the old names, from all of them down to none (elf/dl-hwcaps.c, "Power set construction"); "tls" is last in
 * the list, and so first in a path. */
static int add_combinations(struct em_arena *arena, struct em_strings *hwcaps, const char *const *names, size_t count)
{
    for (unsigned mask = (1u << count) - 1; mask > 0; mask--) {
        char *path = NULL;
        bool known = false;

        for (size_t i = count; i-- > 0;) {
            if (!(mask & 1u << i))
                continue;
            path = path ? em_arena_printf(arena, "%s/%s", path, names[i]) : em_arena_strdup(arena, names[i]);
            if (!path)
                return EM_NO_MEMORY;
        }
        for (size_t i = 0; i < hwcaps->count; i++)
            known |= strcmp(hwcaps->items[i], path) == 0;
        if (!known && em_vec_push(arena, hwcaps, path) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

int em_cpu_hwcaps(struct em_arena *arena, struct em_strings *hwcaps, uint16_t machine, unsigned minor)
{
    /* A foreign machine's levels cannot be known from here: none, which is right for the least one. */
    unsigned level = is_native(machine) ? em_cpu_level() : 1;
    const char *platform = em_cpu_platform(machine);
    int r = EM_OK;

    *hwcaps = (struct em_strings){ 0 };
    for (unsigned v = level; machine == EM_X86_64 && minor >= 33 && v >= 2; v--) {
        char *name = em_arena_printf(arena, "glibc-hwcaps/x86-64-v%u", v);

        if (!name || em_vec_push(arena, hwcaps, name) < 0)
            return EM_NO_MEMORY;
    }
    if (minor < 37 && machine == EM_X86_64) {
        const char *names[4] = { "x86_64" };
        size_t count = 1;

        if (level >= 4 && strcmp(platform, "haswell") == 0)
            names[count++] = "avx512_1";
        names[count++] = platform;
        names[count++] = "tls";
        r = add_combinations(arena, hwcaps, names, count);
    } else if (minor < 37) {
        const char *names[] = { platform ? platform : "tls", "tls" };

        r = add_combinations(arena, hwcaps, names, platform ? 2 : 1);
    }
    return r;
}
