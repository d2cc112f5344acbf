; The task that sends: whoever has something to send waits here. A request goes first (S3); what the host gives is sent
; when it is whole, so that nothing that leaves waits for the host.

send:
        call send_rest
        ld request_of
        bne send_request
        ld send_whole
        bne send_message
        put sending, send_place
        put send_turn, #16
.next:
        ld FLAGS
        and #Flag.SEND
        beq send

        ; A byte of the host's message: of its header, then of its body.
        put send_last, FLAGS
        ld send_place
        cmp #12
        beq .body
        put sending, #1
        ld send_place
        add #send_header
        st XL
        put XH, #0
        put [x], SEND
        inc send_place
        clear send_length, 3
        st send_decimal
        st send_decimal+1
        st send_decimal+2
        jmp .taken
.body:
        compare send_length, #MAX_MESSAGE + 1, 3
        bge .too_long
        clear pointing
        put SLOT, #SEND_SLOT
        put OFFSET_LOW, send_length
        put OFFSET_HIGH, send_length+1
        put MESSAGE, SEND
        count send_length, 3
        count_decimal send_decimal, 1
        bcc .taken
        count_decimal send_decimal+1, 2
.taken:
        test send_last, #Flag.SEND_LAST
        beq .more
        put send_whole, #1
        jmp send
.too_long:
        ld SEND
        jmp .taken
.more:
        dec send_turn
        bne .next
        jmp send

send_request:
        sub #1
        call send_select
        clear send_replay
        st send_type+1
        st send_type+2
        st send_type+3
        st request_of
        put send_type, #'2'
        put send_is_request, #1
        move send_begin, request_begin
        move send_end, request_end
        put sending, #1
        call send_may_number
        bge send                        ; there is no number left for it
        move send_seq, next_out
        jmp compose

send_message:
        ld send_header
        call send_select
        clear send_is_request
        move send_type, send_header+2, 4
        put send_replay, send_header+6
        compare send_length, #MAX_MESSAGE + 1, 3
        bge send_dropped
        move send_seq, send_header+7
        ld send_replay
        bne compose
        call send_may_number
        bge send_dropped
        move send_seq, next_out
        jmp compose

; It is too long, or has no number.
send_dropped:
        call send_room
        put record_kind, #EVENT | EventCode.SEND_DROPPED << 2
        call read_cycle
        move record_cycle, now, 6
        put record_session, send_session
        call tell

send_next:
        clear send_whole
        st send_place
        jmp send

; The session in A is the one that sends.
send_select:
        st send_session
        add #STATE_PAGE
        st send_page
        st PAGE
        ret

; C (BLT): there is a number left. BGE: they are used up (S2).
send_may_number:
        compare next_out, #PAST_MAX_SEQ
        ret

; Something is waited for.
send_pause:
        call watch_if_due

; The other task's turn.
send_rest:
        yield
        put PAGE, send_page
        ret

; Waits for room for a record; none may wait between this and telling it.
send_room:
        ld FLAGS
        and #Flag.FULL
        beq .found
        call send_pause
        jmp send_room
.found:
        ret
