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
.more:
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
        ; Nothing comes; is anything under way?
        ld sending
        or request_of
        or ticks
        or ticks+1
        or ticks+2
        or ticks+3
        bne .others
        put IDLE, #1

        ; The other task and the timers have their turns too, even if bytes never end.
.others:
        put turn, #8
        call rest
        ld ticks
        or ticks+1
        or ticks+2
        or ticks+3
        bne pass_ticks
        jmp .mine

; Something is waited for.
pause:
        call watch_if_due

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
