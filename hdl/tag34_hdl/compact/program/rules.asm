; The rules (docs/rules.md), in the order of the page: the first that fits decides and acts. A message has been framed,
; and the session's variables say what it has. Numbers are compared as they are written: ten decimal digits.

judge:
        clear arriving
        st moved
        st is_above
        st why
        move was_open, recovery, 1
        call read_cycle
        move at_cycle, now, 6
        put rule, #Rule.F3
        ld broken
        bne tell_message
        ; A long one is not stored: of its fields only the type is told.
        call compare_with_max
        bge .stored
        clear has
        put rule, #Rule.F5
        jmp R1
.stored:
        call expect_gap

; -- Before numbers are compared

; CLOSED or HALTED: IGNORED.
R1:     ld phase
        cmp #Phase.CLOSED
        beq .fits
        cmp #Phase.HALTED
        bne F5
.fits:  put rule, #Rule.R1
        jmp settle

; Longer than a slot: OVERSIZE.
F5:     ld rule
        cmp #Rule.F5
        beq settle

; 8, 49 or 56 is not what the session expects of its peer: FOREIGN.
R2:     ld unlike
        bne .fits
        ld seen
        and #SEEN_49 | SEEN_56
        cmp #SEEN_49 | SEEN_56
        beq R3
.fits:  put rule, #Rule.R2
        jmp settle

; A Reset to a number above: RESET.
R3:     ld kind
        cmp #SEQUENCE_RESET
        bne R4
        test has, #GAP_FILL
        bne R4
        test has, #HAS_NEW
        beq R3B
        compare new_seq, expected
        beq R3A
        blt R3B
        put rule, #Rule.R3
        clear recovery
        move target, new_seq
        call skip_to_target
        call find_highest
        call release
        jmp settle

; To the expected one: RESET with a warning.
R3A:    put rule, #Rule.R3A
        call room
        put record_kind, #EVENT | EventCode.RESET_UNCHANGED << 2
        call tell_expected
        jmp settle

; To one below, or to none: BAD_RESET.
R3B:    put rule, #Rule.R3B
        jmp settle

; No number, or no legal one: NO_SEQNUM.
R4:     test has, #HAS_SEQ
        bne R5
        put rule, #Rule.R4
        jmp settle

; 35=A with 141=Y and 34=1: DELIVER, and all numbers begin anew.
R5:     ld kind
        cmp #LOGON
        bne R6
        test has, #RESET_NUMBERS
        beq R6
        compare seq, #1
        bne R6
        put rule, #Rule.R5
        clear target, 5
        put target, #2
        call forget
        put phase, #Phase.ACTIVE
        call deliver_message
        jmp settle

; Not a Logon, while one is waited for: IGNORED.
R6:     ld phase
        cmp #Phase.LOGON
        bne the_expected_number
        ld kind
        cmp #LOGON
        beq the_expected_number
        put rule, #Rule.R6
        jmp settle

; -- The expected number

the_expected_number:
        compare seq, expected
        blt a_number_below
        bne a_number_above

; A GapFill with 36 above: GAP_FILL.
R7:     ld kind
        cmp #SEQUENCE_RESET
        bne R8
        test has, #HAS_NEW
        beq R7A
        compare seq, new_seq
        bge R7A
        put rule, #Rule.R7
        jmp gap_fill

; Any other GapFill: BAD_GAP_FILL.
R7A:    put rule, #Rule.R7A
        jmp settle

; Anything else: DELIVER.
R8:     put rule, #Rule.R8
        call see
        call deliver_message
        call one_further
        call release
        jmp settle

; -- A number below

a_number_below:
        test has, #POSSDUP
        beq R9B

; 43=Y, and a late GapFill that we asked for: GAP_FILL.
R9:     ld kind
        cmp #SEQUENCE_RESET
        bne R9A
        test has, #HAS_NEW
        beq R9A
        compare expected, new_seq
        bge R9A
        ld has_asked
        beq R9A
        compare seq, asked_from
        blt R9A
        put rule, #Rule.R9
gap_fill:
        move target, new_seq
        call skip_to_target
        call release
        jmp settle

; 43=Y, anything else: DUPLICATE.
R9A:    put rule, #Rule.R9A
        jmp settle

; 43 is not Y: TOO_LOW.
R9B:    put rule, #Rule.R9B
        jmp settle

; -- A number above

a_number_above:
        put is_above, #1
        minus apart, seq, expected
        call entry_apart
        beq R10C

; Held already: DUPLICATE.
R10A:   put rule, #Rule.R10A
        jmp settle

; A Logon: DELIVER at once.
R10C:   call see
        ld kind
        cmp #LOGON
        bne R10D
        put rule, #Rule.R10C
        jmp early

; A ResendRequest: DELIVER at once. Within the window its number is marked, as that of a Logon is.
R10D:   cmp #RESEND_REQUEST
        bne R10
        put rule, #Rule.R10D
early:  call deliver_early
        call in_window
        bge settle
        call entry_apart
        put [x:E_STATE], #HELD_CONSUMED
        jmp settle

; Within the window, and there is memory for it: HOLD.
R10:    call in_window
        bge R10B
        ld kind
        cmp #SEQUENCE_RESET             ; a GapFill's numbers say all: it needs no memory
        beq .holds
        ld kept
        cmp #HOLD_LIMIT
        beq R10B
        ld held
        cmp #HOLD
        beq R10B
.holds: put rule, #Rule.R10
        call hold
        jmp settle

; Else NOT_HELD.
R10B:   put rule, #Rule.R10B
        jmp settle

; highest remembers what arrives (R8, R10 to R10d); a Logon among it opens the session (R6).
see:
        compare highest, seq
        bge .phase
        move highest, seq
.phase:
        ld kind
        cmp #LOGON
        bne .done
        put phase, #Phase.ACTIVE
.done:
        ret

; C: the message is apart from expected by less than the window in force. BCC, or BGE: it is not.
in_window:
        compare apart, window_limit, 4
        ld apart+4
        cpc #0
        ret

; C: it is longer than a slot (F5).
compare_with_max:
        ld #MAX_MESSAGE & 255
        cmp length
        ld #MAX_MESSAGE >> 8 & 255
        cpc length+1
        ld #MAX_MESSAGE >> 16
        cpc length+2
        ret

; An early warning, if the host wants it: this number will open a range (docs/decisions/0013).
expect_gap:
        test policy, #8
        beq .no
        ld announced
        bne .no
        ld recovery
        bne .no
        ld may_request
        beq .no
        test has, #HAS_SEQ
        beq .no
        ld kind
        cmp #SEQUENCE_RESET
        bne .phase
        test has, #GAP_FILL
        beq .no
.phase:
        ld phase
        cmp #Phase.ACTIVE
        beq .number
        cmp #Phase.LOGON
        bne .no
        ld kind
        cmp #LOGON
        bne .no
.number:
        compare expected, seq
        bge .no
        minus apart, seq, expected
        call entry_apart
        bne .no
        put announced, #1
        call room
        put record_kind, #EVENT | EventCode.GAP << 2
        put record_flags, #Told.SEQ | Told.NUMBER
        move record_seq, seq
        move record_number, expected
        jmp tell_now
.no:
        ret
