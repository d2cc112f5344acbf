; F2: the fields of a message, as its bytes go by. What the rules ask for is kept; each counts at its first occurrence.

fields_begin:
        clear tag, 2
        st seen
        st field
        st unlike
        st data_next
        st data_next+1
        st type
        st type+1
        st type+2
        st type+3
        st type_length
        st kind
        st has
        put in_header, #1
        put first_field, #1
        put ident, #3                   ; of BeginString, FIX is known
        become next_field, tag_byte
        ret

; A character of a tag. 34 is not 034: a tag that begins with a zero, has more than four digits or anything else is none.
tag_byte:
        ld byte
        cmp #'='
        beq field_begins
        cmp #SOH
        beq .no_field
        cmp #'0'
        blt .none
        cmp #'9' + 1
        bge .none
        ld tag
        or tag+1
        bne .digit
        ld byte
        cmp #'0'
        beq .none
.digit:
        ld byte
        push_digit tag, 2
        beq main
.none:
        ld #255
        st tag
        st tag+1
        jmp main
.no_field:
        clear data_next, 2
        st in_header
        jmp field_ends

; A field is over.
field_ends:
        clear tag, 2
        become next_field, tag_byte
        jmp main

; The = behind a tag: which field is it?
field_begins:
        ld data_next
        or data_next+1
        beq .plain
        compare tag, data_next, 2
        bne .plain
        ld data_length
        or data_length+1
        or data_length+2
        beq .plain
        ; A data field, and its length stood right before it: SOH may be in its value.
        clear in_header
        st data_next
        st data_next+1
        become next_field, data_byte
        jmp main
.plain:
        clear data_next, 2
        st field
        become next_field, skip_byte
        ld first_field
        bne field_35
        ld tag+1
        beq .two_digits
        cmp #0x01
        beq .hundreds
        cmp #0x02
        beq .two_hundreds
        cmp #0x03
        beq .three_hundreds
        cmp #0x06
        beq .six_hundreds
        cmp #0x11
        beq .eleven_hundreds
        cmp #0x14
        beq .fourteen_hundreds
        jmp no_header
.two_digits:
        ld tag
        cmp #0x34
        beq field_34
        cmp #0x49
        beq field_49
        cmp #0x56
        beq field_56
        cmp #0x52
        beq main
        cmp #0x43
        beq field_43
        cmp #0x36
        beq field_36
        cmp #0x97
        beq field_97
        cmp #0x90
        beq field_90
        cmp #0x93
        beq field_93
        cmp #0x95
        beq field_95
        cmp #0x08
        beq main
        cmp #0x09
        beq main
        cmp #0x35
        beq main
        cmp #0x50
        beq main
        cmp #0x57
        beq main
        jmp no_header
.hundreds:
        ld tag
        cmp #0x23
        beq field_123
        cmp #0x41
        beq field_141
        cmp #0x22
        beq main
        cmp #0x15
        beq main
        cmp #0x16
        beq main
        cmp #0x28
        beq main
        cmp #0x29
        beq main
        cmp #0x42
        blt no_header
        cmp #0x46
        blt main
        jmp no_header
.two_hundreds:
        ld tag
        cmp #0x12
        beq field_212
        jmp no_header
.three_hundreds:
        ld tag
        cmp #0x47
        beq main
        cmp #0x69
        beq main
        cmp #0x54
        beq field_354
        jmp no_header
.six_hundreds:
        ld tag
        cmp #0x27
        blt no_header
        cmp #0x31
        blt main
        jmp no_header
.eleven_hundreds:
        ld tag
        cmp #0x28
        beq main
        cmp #0x29
        beq main
        cmp #0x56
        beq main
        jmp no_header
.fourteen_hundreds:
        ld tag
        cmp #0x01
        beq field_1401
        cmp #0x03
        beq field_1403
        jmp no_header

field_35:
        clear first_field
        become next_field, type_byte
        jmp main
field_34:
        become next_field, number_byte
        ld #SEEN_34
        jmp in_header_once
field_43:
        become next_field, yes_byte
        ld #SEEN_43
        jmp in_header_once
field_97:
        become next_field, yes_byte
        ld #SEEN_97
        jmp in_header_once
field_49:
        put ident, #2 * REGION          ; the peer's
        become next_field, ident_byte
        ld #SEEN_49
        jmp in_header_once
field_56:
        put ident, #REGION              ; ours
        become next_field, ident_byte
        ld #SEEN_56
in_header_once:
        st field
        ld in_header
        bne once
skip:
        clear field
        become next_field, skip_byte
        jmp main
field_36:
        become next_field, number_byte
        ld #SEEN_36
        jmp in_sequence_reset
field_123:
        become next_field, yes_byte
        ld #SEEN_123
in_sequence_reset:
        st field
        clear in_header
        ld kind
        cmp #SEQUENCE_RESET
        bne skip
        jmp once
field_141:
        become next_field, yes_byte
        put field, #SEEN_141
        clear in_header
        ld kind
        cmp #LOGON
        bne skip
once:
        ld field
        and seen
        bne skip
        ld seen
        or field
        st seen
        clear value, 5
        st value_bad
        st value_any
        st yes
        jmp main

; Lengths of data fields. 90 and 212 are in the header, the others are not.
field_90:
        put data_tag, #0x91
        clear data_tag+1
        jmp length_begins
field_212:
        put data_tag, #0x13
        put data_tag+1, #0x02
        jmp length_begins
field_93:
        put data_tag, #0x89
        clear data_tag+1
        jmp length_of_body
field_95:
        put data_tag, #0x96
        clear data_tag+1
        jmp length_of_body
field_354:
        put data_tag, #0x55
        put data_tag+1, #0x03
        jmp length_of_body
field_1401:
        put data_tag, #0x02
        put data_tag+1, #0x14
        jmp length_of_body
field_1403:
        put data_tag, #0x04
        put data_tag+1, #0x14
length_of_body:
        ld kind
        cmp #LOGON
        beq .looked_at
        cmp #SEQUENCE_RESET
        bne no_header
.looked_at:
        clear in_header
length_begins:
        clear data_length, 3
        st data_digits
        become next_field, length_byte
        jmp main

no_header:
        clear in_header
        ld kind
        cmp #LOGON
        beq main
        cmp #SEQUENCE_RESET
        beq main
        become next_field, rest_byte
        jmp main

; A value that nobody asks for: what is there of it is taken at once.
skip_byte:
        ld byte
        cmp #SOH
        beq field_ends
        call may_run
        beq main
        st RUN_TO_SOH
        call has_run
        beq main
        ld RUN_LAST
        cmp #SOH
        bne main
        jmp field_ends

; Behind the header of most messages nobody asks for anything.
rest_byte:
        call may_run
        beq main
        st RUN_TO_END
        call has_run
        jmp main

; A, Z: how many bytes may be taken at once: at least the last one of the body comes by itself.
may_run:
        ld pointing
        bne .there
        call point
.there:
        put RUN_SESSION, session
        ld remaining
        beq .none
        sub #1
.none:
        ret

; Bytes have been taken: they are counted as if they had come one by one. Z: there was none.
has_run:
        put run, RUN_BYTES
        plus_binary length, run, 3
        bcc .received
        ld #255
        st length
        st length+1
        st length+2
.received:
        plus_binary received, run, 6
        ld remaining
        sub run
        st remaining
        ld RUN_SUM
        add sum
        st sum
        ld run
        ret

; A data field's value: what it holds means nothing before its end.
data_byte:
        less_one data_length, 3
        bne main
        become next_field, skip_byte
        jmp main

; Its length: one to six digits.
length_byte:
        ld byte
        cmp #SOH
        beq .closed
        cmp #'0'
        blt .bad
        cmp #'9' + 1
        bge .bad
        ld data_digits
        cmp #6
        bge .bad
        inc data_digits
        ld byte
        push_digit data_length, 3
        jmp main
.bad:
        put data_digits, #7
        jmp main
.closed:
        ld data_digits
        beq field_ends
        cmp #7
        beq field_ends
        move data_next, data_tag, 2
        jmp field_ends

; MsgType: four characters are kept.
type_byte:
        ld byte
        cmp #SOH
        beq .closed
        ld type_length
        cmp #4
        beq main
        add #type
        st XL
        put XH, page
        put [x], byte
        inc type_length
        jmp main
.closed:
        ld type_length
        cmp #1
        bne field_ends
        ld type
        cmp #'A'
        bne .no_logon
        put kind, #LOGON
.no_logon:
        cmp #'4'
        bne .no_sequence_reset
        put kind, #SEQUENCE_RESET
.no_sequence_reset:
        cmp #'2'
        bne field_ends
        put kind, #RESEND_REQUEST
        jmp field_ends

; MsgSeqNum or NewSeqNo: ten digits, leading zeros apart (R4).
number_byte:
        ld byte
        cmp #SOH
        beq .closed
        cmp #'0'
        blt .bad
        cmp #'9' + 1
        bge .bad
        put value_any, #1
        ld byte
        push_digit value, 5
        beq main
.bad:
        put value_bad, #1
        jmp main
.closed:
        ld value_bad
        bne field_ends
        ld value_any
        beq field_ends
        compare value, #PAST_MAX_SEQ
        bge field_ends
        ld field
        cmp #SEEN_34
        bne .new_seq
        ld value
        or value+1
        or value+2
        or value+3
        or value+4
        beq field_ends                  ; zero is no MsgSeqNum
        move seq, value
        set has, #HAS_SEQ
        call read_cycle
        move at_cycle, now, 6
        call expect_gap
        jmp field_ends
.new_seq:
        move new_seq, value
        set has, #HAS_NEW
        jmp field_ends

; Y and nothing else.
yes_byte:
        ld byte
        cmp #SOH
        beq .closed
        ld yes
        bne .no
        ld byte
        cmp #'Y'
        bne .no
        put yes, #1
        jmp main
.no:
        put yes, #2
        jmp main
.closed:
        ld yes
        cmp #1
        bne field_ends
        ld field
        cmp #SEEN_43
        beq .possdup
        cmp #SEEN_97
        beq .possresend
        cmp #SEEN_123
        beq .gap_fill
        ld #RESET_NUMBERS
        jmp .have
.possdup:
        ld #POSSDUP
        jmp .have
.possresend:
        ld #POSSRESEND
        jmp .have
.gap_fill:
        ld #GAP_FILL
.have:
        or has
        st has
        jmp field_ends

; A CompID, with its SOH.
ident_byte:
        call compare_ident
        ld byte
        cmp #SOH
        bne main
        jmp field_ends

; The byte at hand and the one that the session has for it.
compare_ident:
        put XL, ident
        ld session
        add #IDENT_PAGE
        st XH
        inc ident
        ld byte
        cmp [x]
        beq .same
        put unlike, #1
.same:
        ret
