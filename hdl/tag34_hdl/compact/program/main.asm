; The task that receives: bytes, accesses to registers and ticks in turn. Whoever has dealt with one jumps to main.

main:
        dec turn
        beq .others
.mine:
        ld FLAGS
        and #Flag.RX | Flag.CONTROL | Flag.WATCH
        cmp #Flag.RX
        bne .more
.byte:
        ld RX_SESSION                   ; R17: the bytes of each session find its variables
        cmp session
        beq .same
        call select
.same:
        put byte, RX
        count received, 6
        put XL, next_byte
        put XH, next_byte+1
        jx
.others:
        put turn, #8
        call rest
        jmp .mine
.more:
        ld FLAGS
        and #Flag.WATCH
        beq .watched
        call watch
.watched:
        ld FLAGS
        and #Flag.CONTROL
        bne control
        ld FLAGS
        and #Flag.RX
        bne .byte
        ld ticks
        or ticks+1
        or ticks+2
        or ticks+3
        bne pass_ticks
        ld sending
        or request_of
        bne .waits
        put IDLE, #1
.waits:
        call rest
        jmp main

; Something is waited for.
pause:
        ld FLAGS
        and #Flag.WATCH
        beq rest
        call watch

; The other task's turn.
rest:
        yield
        put PAGE, page
        ret

; The session in A is at hand.
select:
        st session
        add #STATE_PAGE
        st page
        st PAGE
        clear pointing
        ret
