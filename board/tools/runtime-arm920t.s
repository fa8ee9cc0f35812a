@ What the armv4t build has of its own of the C library.
@
@ The atomics of musl, by way of the kernel's user helpers alone. musl's own
@ file also holds variants for ARMv6 and v7, taken at run time by the CPU it
@ finds: right, but then no reading of the program proves that it is ARMv4T.
@ Rust's atomics need the helpers (CONFIG_KUSER_HELPERS=y) in any case.
@ The names are musl's; linked first, this file takes the other's place.

    .syntax unified
    .arch armv4t
    .text
    .p2align 2

    .macro function name
    .global \name
    .hidden \name
    .type \name, %function
\name:
    .endm

@ Compare and swap: old in r0, new in r1, address in r2; r0 is 0 if it did.
    function __a_cas_v6
    function __a_cas_v7
    mvn r3, #0xf000
    sub pc, r3, #0x3f           @ 0xffff0fc0

@ Memory barrier; may change ip.
    function __a_barrier_v6
    function __a_barrier_v7
    mvn ip, #0xf000
    sub pc, ip, #0x5f           @ 0xffff0fa0

@ The same for kernels before the barrier's helper: a swap that changes nothing.
    function __a_barrier_oldkuser
    push {r0, r1, r2, r3, ip, lr}
    mov r1, r0
    mov r2, sp
    bl __a_cas_v7
    pop {r0, r1, r2, r3, ip, lr}
    bx lr

@ Thread pointer to r0; may change nothing else.
    function __a_gettp_cp15
    mvn r0, #0xf000
    sub pc, r0, #0x1f           @ 0xffff0fe0

@ memcpy: word by word where both sides are aligned. Zig's small one goes byte
@ by byte, which was a third of all instructions for a WHOIS.
    function memcpy
    mov ip, r0
    orr r3, r0, r1
    tst r3, #3
    bne 2f
1:  subs r2, r2, #4
    ldrhs r3, [r1], #4
    strhs r3, [ip], #4
    bhs 1b
    add r2, r2, #4
2:  subs r2, r2, #1
    ldrbhs r3, [r1], #1
    strbhs r3, [ip], #1
    bhs 2b
    bx lr
    .size memcpy, . - memcpy

    .data
    .p2align 2
    .macro pointer name value
    .global \name
    .hidden \name
    .type \name, %object
    .size \name, 4
\name:
    .word \value
    .endm

    pointer __a_cas_ptr, __a_cas_v7
    pointer __a_barrier_ptr, __a_barrier_v7
    pointer __a_gettp_ptr, __a_gettp_cp15

@ Nothing is ever unwound here (a panic aborts), but each function's entry in
@ .ARM.exidx names its personality routine, which would bring in an unwinder,
@ its messages, and printf with its floating point: 14 KB.
    .text
    function __aeabi_unwind_cpp_pr0
    function __aeabi_unwind_cpp_pr1
    function __aeabi_unwind_cpp_pr2
    mov r0, #9                  @ _URC_FAILURE
    bx lr

@ Division with remainder. The program is Thumb code, the C library is ARM code,
@ and on ARMv4T only BX goes from one to the other; the versions in Rust's
@ runtime return by `pop {pc}`, which does not.
    .macro divide name worker frame
    function \name
    push {r4, lr}
    sub sp, sp, #16
    .if \frame                  @ 64 bits: the remainder's address on the stack
    add r4, sp, #8
    str r4, [sp]
    bl \worker
    ldr r2, [sp, #8]
    ldr r3, [sp, #12]
    .else                       @ 32 bits: in r2
    mov r2, sp
    bl \worker
    ldr r1, [sp]
    .endif
    add sp, sp, #16
    pop {r4, lr}
    bx lr
    .endm

    divide __aeabi_uidivmod, __udivmodsi4, 0
    divide __aeabi_idivmod, __divmodsi4, 0
    divide __aeabi_uldivmod, __udivmoddi4, 1
    divide __aeabi_ldivmod, __divmoddi4, 1
