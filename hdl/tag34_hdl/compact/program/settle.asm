; What follows from a decision: the open range ends, the next one opens, the message is told of.

settle:
        ; R13, R14: has the open range got further, or is it complete?
        ld recovery
        beq .closed
        ld moved
        beq .repeat
        test policy, #3                 ; infinity lasts to the highest number
        bne .bounded
        compare highest, expected
        blt .complete
        jmp .progress
.bounded:
        compare end, expected
        blt .complete
.progress:
        call timer_begins
        jmp .repeat
.complete:
        clear recovery
.closed:
        ld was_open
        beq .open
        call room
        put record_kind, #EVENT | EventCode.RECOVERY_CLOSED << 2
        call tell_expected
        jmp .open

.repeat:
        ; R13a: the replay has gone past expected.
        ld is_above
        beq .open
        test has, #POSSDUP
        beq .open
        ld may_request
        beq .open
        ld was_open
        beq .open
        ld passed
        bne .open
        put passed, #1
        put why, #Rule.R13A
        call ask
.open:
        call open_recovery
        clear why

        ; Some messages stop the session.
        ld rule
        cmp #Rule.F5
        beq .halts
        cmp #Rule.R4
        beq .halts
        cmp #Rule.R9B
        bne .numbers
.halts:
        put phase, #Phase.HALTED
        call room
        put record_kind, #EVENT | EventCode.HALTED << 2
        put record_rule, rule
        call tell_expected
.numbers:
        ; R16a: and so does the end of all numbers.
        ld moved
        beq tell_message
        compare expected, #PAST_MAX_SEQ
        blt tell_message
        put phase, #Phase.HALTED
        call room
        put record_kind, #EVENT | EventCode.SEQ_EXHAUSTED << 2
        put record_rule, #Rule.R16A
        put record_flags, #Told.SEQ
        put record_seq, #MAX_SEQ & 255
        put record_seq+1, #MAX_SEQ >> 8 & 255
        put record_seq+2, #MAX_SEQ >> 16 & 255
        put record_seq+3, #MAX_SEQ >> 24 & 255
        put record_seq+4, #MAX_SEQ >> 32
        call tell_now

; The record of the message closes all that it has caused. It is counted.
tell_message:
        clear announced
        call room
        put record_flags, #Told.NUMBER
        ld rule
        cmp #Rule.F3
        beq .known
        move record_type, type, 4
        ld has
        and #Told.SEQ | Told.POSSDUP
        or #Told.NUMBER
        st record_flags
        and #Told.SEQ
        beq .known
        move record_seq, seq
.known:
        ld rule
        add rule
        st record_kind
        add record_kind
        st record_kind                  ; MESSAGE | rule << 2
        st counter_at
        move record_number, expected
        move record_offset, offset, 6
        move record_length, length, 3
        call tell_now

        put XL, counter_at              ; four bytes each
        ld session
        add #COUNTER_PAGE
        st XH
        inc [x+]
        bne .framed
        inc [x+]
        bne .framed
        inc [x+]
        bne .framed
        inc [x]
.framed:
        plus_binary framed, length, 3
        bcc .done
        count framed+3, 3
.done:
        ret

; R11: a range opens with the question for it.
open_recovery:
        ld recovery
        bne .no
        ld may_request
        beq .no
        ld phase
        cmp #Phase.ACTIVE
        bne .no
        compare highest, expected
        blt .no
        test policy, #3
        bne .bounded
        clear asked, 5                  ; infinity is 0, or 999999 in old versions
        test policy, #4
        beq .ask
        ld #0x99
        st asked
        st asked+1
        st asked+2
        jmp .ask
.bounded:
        move end, highest
        minus apart, highest, expected
        call entry_apart
        beq .chunk
        less_one end                    ; what is held need not come again
.chunk:
        test policy, #3
        cmp #Policy.CHUNK
        bne .end
        move target, expected
        plus target, chunk
        less_one target
        compare target, end
        bge .end
        move end, target
.end:
        move asked, end
.ask:
        put recovery, #1
        put why, #Rule.R11
        call timer_begins
        jmp ask
.no:
        ret

; expected has moved, or a range has opened: repeats count anew (R13a, R14).
timer_begins:
        clear passed
        st retries
        move timer, resend_timeout, 4
        ret

; A ResendRequest from expected to asked, because of why. One may wait while a message leaves.
ask:
        call room
        put record_kind, #EVENT | EventCode.REQUEST << 2
        put record_rule, why
        put record_flags, #Told.NUMBER
        move record_number, asked
        call tell_expected
        jmp .look
.wait:
        call pause
.look:
        ld request_of
        bne .wait
        move request_begin, expected
        move request_end, asked
        ld session
        add #1
        st request_of
        ld has_asked
        bne .done
        put has_asked, #1
        move asked_from, expected       ; the first one is the lowest
.done:
        ret
