; S1: a message is 8, 9, 35, 49, 56, 34, 52, what the sender gave, 10. What BodyLength counts is gone through twice: once
; to count its bytes, once to send them.

compose:
        ; The time (S5) is that of the moment.
.time:
        call watch_milli
        put send_micro, MICRO
        put send_micro+1, LATCH
        ld MORE
        and #More.MILLI
        bne .time
        move send_time, utc, 9
        move send_nano, nano, 2

        put send_counts, #1
        clear send_bytes, 3
        call send_counted
        ld send_is_request
        bne .first
        plus send_bytes, send_decimal, 3

.first: ; The first byte. A request whose connection is gone by now does not leave (S6).
        clear send_counts
        put send_sum, #'8'
        put TX_SESSION, send_session
        call read_cycle
        move send_cycle, now, 6
        ld send_is_request
        beq .offers
        ld send_session
        add #1
.offers:
        st opening
        put TX, #'8'
.offered:
        ld MORE
        and #More.DROPPED
        bne .dropped
        ld FLAGS
        and #Flag.TX_BUSY
        beq .begun
        call send_pause
        jmp .offered
.dropped:
        clear opening
        jmp send

.begun: ; The number is given out with the first byte (S2), and the host is told (S4).
        clear opening
        ld send_replay
        bne .told
        count_decimal next_out
.told:
        call send_room
        put record_kind, #RecordKind.SENT
        ld send_replay
        beq .flags
        ld #Told.REPLAY
.flags:
        or #Told.SEQ
        st record_flags
        ld send_is_request
        beq .record
        set record_flags, #Told.DEVICE
.record:
        put record_session, send_session
        move record_type, send_type, 4
        move record_seq, send_seq
        move record_cycle, send_cycle, 6
        call tell

        text "="
        put send_at, #0
        put send_left, ident_length
        call send_ident
        text "|9="
        clear send_number+3, 2
        move send_number, send_bytes, 3
        call send_digits
        text "|"
        call send_counted
        ld send_is_request
        bne .trailer
        ; The host's fields: rounds of 256 bytes, the first one shorter.
        clear send_at, 2
        st send_points
        move send_rounds, send_length, 2
        ld send_rounds
        or send_rounds+1
        beq .trailer
        ld send_rounds
        beq .byte
        inc send_rounds+1
.byte:
        ld send_points
        bne .there
        put SLOT, #SEND_SLOT
        put OFFSET_LOW, send_at
        put OFFSET_HIGH, send_at+1
        clear pointing
        put send_points, #1
.there:
        count send_at, 2
        ld MESSAGE
        call send_byte
        dec send_rounds
        bne .byte
        dec send_rounds+1
        bne .byte

.trailer:
        put send_left, send_sum
        text "10="
        ld send_left
        call three_digits
        move send_number, three_digits_of, 3
        ld send_number
        call send_digit
        ld send_number+1
        call send_digit
        ld send_number+2
        call send_digit
.last:
        ld FLAGS
        and #Flag.TX_BUSY
        beq .ends
        call send_pause
        jmp .last
.ends:
        put TX_LAST, #SOH
        ld send_is_request
        bne send
        jmp send_next

; All that BodyLength counts but the host's fields.
send_counted:
        text "35="
        put send_at, #0
.type:
        ld send_at
        cmp #4
        beq .type_over
        add #send_type
        st XL
        put XH, #0
        ld [x]
        beq .type_over
        call send_byte
        inc send_at
        jmp .type
.type_over:
        text "|49="
        put send_at, #REGION            ; ours
        put send_left, ident_length+1
        call send_ident
        text "|56="
        put send_at, #2 * REGION        ; the peer's
        put send_left, ident_length+2
        call send_ident
        text "|34="
        move send_number, send_seq
        call send_digits
        text "|52="
        call send_the_time
        text "|"
        ld send_is_request
        bne .request
        ret
.request:
        text "7="
        move send_number, send_begin
        call send_digits
        text "|16="
        move send_number, send_end
        call send_digits
        ld #SOH
        jmp send_byte

; So many bytes of an ident.
send_ident:
        ld send_left
        beq .over
        put XL, send_at
        ld send_session
        add #IDENT_PAGE
        st XH
        inc send_at
        dec send_left
        ld [x]
        call send_byte
        jmp send_ident
.over:
        ret

; A number without leading zeros; zero is one digit.
send_digits:
        put send_zeros, #1
        put send_place_of, #4
.byte:
        ld send_place_of
        add #send_number
        st XL
        put XH, #0
        ld [x]
        st send_pair
        swap
        and #0x0F
        call .digit
        ld send_place_of
        bne .low
        clear send_zeros
.low:
        ld send_pair
        and #0x0F
        call .digit
        ld send_place_of
        beq .over
        dec send_place_of
        jmp .byte
.over:
        ret
.digit:
        bne .shown
        ld send_zeros
        bne .over
        ld #0
.shown:
        st send_char
        clear send_zeros
        ld send_char
        jmp send_digit

; 52: YYYYMMDD-HH:MM:SS and the fraction.
send_the_time:
        ld send_time+8
        call send_pair_of
        ld send_time+7
        call send_pair_of
        ld send_time+6
        call send_pair_of
        ld send_time+5
        call send_pair_of
        text "-"
        ld send_time+4
        call send_pair_of
        text ":"
        ld send_time+3
        call send_pair_of
        text ":"
        ld send_time+2
        call send_pair_of
        ld policy
        swap
        and #0x0F
        st send_fraction
        bne .milli
        ret
.milli:
        text "."
        ld send_time+1
        call send_digit
        ld send_time
        call send_pair_of
        ld send_fraction
        cmp #6
        bge .micro
        ret
.micro:
        ld send_micro+1
        call send_digit
        ld send_micro
        call send_pair_of
        ld send_fraction
        cmp #9
        bge .nano
        ret
.nano:
        ld send_nano+1
        call send_digit
        ld send_nano

; Two digits.
send_pair_of:
        st send_pair
        swap
        and #0x0F
        call send_digit
        ld send_pair
        and #0x0F

send_digit:
        add #'0'

; A byte for the connection, or to be counted only.
send_byte:
        st send_char
        ld send_counts
        bne .counts
.look:
        ld FLAGS
        and #Flag.TX_BUSY | Flag.WATCH
        bne .waits
        ld send_char
        st TX
        add send_sum
        st send_sum
        ret
.waits:
        call send_pause
        jmp .look
.counts:
        count_decimal send_bytes, 1
        bcc .counted
        count_decimal send_bytes+1, 2
.counted:
        ret
