; After a reset: block memory has what it had before.

start:
        put outer, #PAGES - 1
.page:
        put XH, outer
        put XL, #0
        put inner, #0                   ; 256 bytes
.byte:
        put [x+], #0
        dec inner
        bne .byte
        dec outer
        bne .page
        put XH, #0
        put XL, #0
        put inner, #254                 ; all of page 0 but the two variables of these loops
.rest:
        put [x+], #0
        dec inner
        bne .rest

        ; The slots of the message memory: those of the sessions come first, then the free ones.
        put XH, #FREE_PAGE
        put XL, #0
        put scratch, #SESSIONS
        put free_slots, #HOLD
        put loop, #HOLD
.slot:
        put [x+], scratch
        inc scratch
        dec loop
        bne .slot

        put year, #0x70
        put year+1, #0x19
        put month, #1
        put day, #1

        put loop, #SESSIONS
        put scratch, #WINDOW_PAGE + SESSIONS * WINDOW_PAGES
.session:
        ld scratch
        sub #WINDOW_PAGES
        st scratch
        dec loop
        ld loop
        call select
        put slot, loop
        put window_page, scratch
        put expected, #1
        put next_out, #1
        put policy, #3 << 4             ; milliseconds
        become next_byte, hunt
        ld loop
        bne .session
        put turn, #1
        jmp main
