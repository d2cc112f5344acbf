; The hold window: an entry for each number from expected on, that of expected at base; and how expected moves.

; X := the entry of the number that is apart from expected; A, Z: its state, EMPTY beyond the last entry.
entry_apart:
        ld apart+1
        or apart+2
        or apart+3
        or apart+4
        bne .none
        call binary_apart
        cmp #PLACES
        bge .none
        jmp entry_behind
.none:
        ld #HELD_NOTHING
        ret

; The same for expected.
entry_expected:
        ld #0

; The same for the number that is A behind.
entry_behind:
        add base
        and #PLACES - 1
        st scratch
        swap
        and #0xF0
        st XL
        ld scratch
        swap
        and #0x0F
        add window_page
        st XH
        ld [x:E_STATE]
        ret

; A := the last two digits of apart, as a binary number.
binary_apart:
        ld apart

; The same for two digits in A.
binary:
        st binary_of
        swap
        and #0x0F
        st scratch
        add scratch
        st digit
        add digit
        add digit                       ; six times the tens are too much
        st digit
        ld binary_of
        sub digit
        ret

; The entry at X becomes empty. The slot that it has is given back, if any.
free_entry:
        ld [x:E_STATE]
        cmp #HELD_MESSAGE
        bne .empty
        dec kept
        dec held
        ld [x:E_SLOT]
        st digit
        put [x:E_STATE], #HELD_NOTHING
        put XL, free_slots
        put XH, #FREE_PAGE
        put [x], digit
        inc free_slots
        ret
.empty:
        put [x:E_STATE], #HELD_NOTHING
        ret

free_all:
        call watch_if_due               ; a large window takes its time
        put steps, #PLACES
.entry:
        dec steps
        ld steps
        call entry_behind
        call free_entry
        ld steps
        bne .entry
        ret

; expected := target; what is held from there on is forgotten, and so are recovery and requests (R5, R15).
forget:
        clear recovery
        st has_asked
        move expected, target
        move highest, target
        less_one highest
        jmp free_all

; expected := target, which is above; what is held below is given back (R3, R7, R9, R10e).
skip_to_target:
        put moved, #1
        minus apart, target, expected
        move expected, target
        ld apart+1
        or apart+2
        or apart+3
        or apart+4
        bne free_all
        call binary_apart
        cmp #PLACES
        bge free_all
        st steps
.number:
        call entry_expected
        call free_entry
        call base_further
        dec steps
        bne .number
        ret

; expected + 1
one_further:
        put moved, #1
        count_decimal expected
base_further:
        ld base
        add #1
        and #PLACES - 1
        st base
        ret

; R3: highest := the highest number held, the one below expected if there is none.
find_highest:
        call watch_if_due
        move highest, expected
        less_one highest
        move target, expected
        put steps, #0
.number:
        ld steps
        call entry_behind
        beq .empty
        move highest, target
.empty:
        count_decimal target
        inc steps
        ld steps
        cmp #PLACES
        bne .number
        ret

; R10: the message is kept, a GapFill as its numbers.
hold:
        call entry_apart                ; for X
        put [x:E_SLOT], slot
        move [x:E_LENGTH], length, 2
        put [x:E_HAS], has
        move [x:E_TYPE], type, 4
        move [x:E_NEW], new_seq
        ld kind
        cmp #SEQUENCE_RESET
        bne .message
        put [x:E_STATE], #HELD_GAP_FILL
        ret
.message:
        put [x:E_STATE], #HELD_MESSAGE
        inc kept
        inc held
        dec free_slots                  ; the next message has another slot
        put XL, free_slots
        put XH, #FREE_PAGE
        put slot, [x]
        ret

; R12: what is held at expected is delivered, or acts (R10e), or was consumed before (R10c, R10d).
release:
        call entry_expected
        bne .held
        ret
.held:
        cmp #HELD_CONSUMED
        beq .gone
        cmp #HELD_MESSAGE
        bne .gap_fill
        call room
        call entry_expected
        put going_slot, [x:E_SLOT]
        move going_left, [x:E_LENGTH], 2
        move record_type, [x:E_TYPE], 4
        ld [x:E_HAS]
        and #Told.POSSDUP | Told.POSSRESEND
        st record_flags
        move record_seq, expected
        call deliver
        call entry_expected
.gone:
        call free_entry
        call one_further
        jmp release
.gap_fill:
        ld [x:E_HAS]
        st digit
        move target, [x:E_NEW]
        put [x:E_STATE], #HELD_NOTHING
        test digit, #HAS_NEW
        beq .bad
        compare expected, target
        bge .bad
        call room
        put record_kind, #EVENT | EventCode.HELD_GAP_FILL << 2
        put record_flags, #Told.NUMBER
        move record_number, target
        call tell_expected
        call skip_to_target
        jmp release
.bad:
        call room
        put record_kind, #EVENT | EventCode.HELD_BAD_GAP_FILL << 2
        jmp tell_expected
