; The host's operations (tag34.contract.Command): each acts between two bytes, so between two messages.

write_command:
        put command, word
        call read_cycle
        move at_cycle, now, 6
        clear why
        ld command
        and #0x0F
        cmp #Command.CONNECT
        beq connect
        cmp #Command.DISCONNECT
        beq disconnect
        cmp #Command.MAY_REQUEST
        beq may_request_changes
        cmp #Command.SET_EXPECTED
        beq set_expected
        cmp #Command.SET_NEXT_OUT
        bne main
        move next_out, new_number
        jmp main

; R15, F6: nothing of the old connection counts any more. expected and next_out stay.
connect:
        clear received, 6
        st framed
        st framed+1
        st framed+2
        st framed+3
        st framed+4
        st framed+5
        st arriving
        st announced
        become next_byte, hunt
        move target, expected
        call forget
        ld command
        swap
        and #3
        st phase
        call take_may_request
        ; S6: a request that has not begun to leave is dropped.
        ld session
        add #1
        cmp request_of
        bne .opening
        clear request_of
        ld session
        add #1
.opening:
        cmp opening
        bne main
        put DROP, #1
        jmp main

; What is held is of no use any more; its memory is for the others.
disconnect:
        put phase, #Phase.CLOSED
        call free_all
        jmp main

; R11: what is pending opens.
may_request_changes:
        call take_may_request
        call open_recovery
        jmp main

set_expected:
        move target, new_number
        call forget
        jmp main

take_may_request:
        clear may_request
        test command, #64
        beq .no
        put may_request, #1
.no:
        ret
