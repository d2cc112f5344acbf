; Records, and messages for the host. A record is put together where record_kind and what follows it lie; all that is
; not said there is zero.

; Waits for room for a record; none may wait between this and telling it.
room:
        ld FLAGS
        and #Flag.FULL
        beq .found
        call pause
        jmp room
.found:
        ret

; An event of the session, seq = expected.
tell_expected:
        set record_flags, #Told.SEQ
        move record_seq, expected

; A record of the session, of the time of the message at hand.
tell_now:
        move record_cycle, at_cycle, 6
        put record_session, session

tell:
        put XL, #record_kind
        put XH, #0
        put tell_left, #RECORD_BYTES
.byte:
        put RECORD, [x]
        put [x+], #0
        dec tell_left
        bne .byte
        ret

; The message at hand is delivered (R5, R8), or ahead of its turn (R10c, R10d).
deliver_early:
        call room
        put record_flags, #Told.EARLY
        jmp deliver_this
deliver_message:
        call room
deliver_this:
        put going_slot, slot
        move going_left, length, 2
        move record_type, type, 4
        move record_seq, seq
        ld has
        and #Told.POSSDUP | Told.POSSRESEND
        or record_flags
        st record_flags

; A message is delivered, of which the record and going say something already: its record, then its bytes (R16: as fast
; as the host takes them).
deliver:
        put record_kind, #RecordKind.DELIVER
        set record_flags, #Told.SEQ
        move record_length, going_left, 2
        call read_cycle
        move record_cycle, now, 6
        put record_session, session
        call tell
        ; All but the last byte: rounds of 256, the first one shorter.
        borrow going_left, 2
        ld going_left
        beq .whole
        inc going_left+1
.whole:
        clear going_at, 2
        st pointing
.place:
        clear send_points
        put DELIVER_SESSION, session
        put SLOT, going_slot
        put OFFSET_LOW, going_at
        put OFFSET_HIGH, going_at+1
.byte:
        ld FLAGS
        and #Flag.DELIVER_BUSY | Flag.WATCH
        bne .waits
        ld going_left+1
        beq .last
        put DELIVER, MESSAGE
        inc going_at
        bne .on
        inc going_at+1
.on:
        dec going_left
        bne .byte
        dec going_left+1
        jmp .byte
.last:
        put DELIVER_LAST, MESSAGE
        ret
.waits:
        call pause
        jmp .place
