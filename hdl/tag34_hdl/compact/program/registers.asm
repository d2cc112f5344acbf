; Accesses to registers (tag34.contract.REGISTERS): each is carried out at once, between two bytes of the connections.

control:
        put address, CONTROL
        ld selected
        call select
        ld address
        cmp #128
        bge .write
        add #low(read_table)
        st XL
        ld #high(read_table)
        adc #0
        st XH
        jx
.write:
        put steps, #4
.byte:
        ld FLAGS
        and #Flag.CONTROL
        bne .there
        call pause
        jmp .byte
.there:
        ld #word + 4
        sub steps
        st XL
        put XH, #0
        put [x], CONTROL
        dec steps
        bne .byte
        ld address
        add #low(write_table - 128)
        st XL
        ld #high(write_table - 128)
        adc #0
        st XH
        jx

; -- Reading

; Four bytes from A on, of the session or of none.
answer_session:
        st XL
        put XH, page
        jmp answer_there
answer_global:
        st XL
        put XH, #0
answer_there:
        put word, [x+]
        put word+1, [x+]
        put word+2, [x+]
        put word+3, [x+]

; The register's value is word.
answer:
        put steps, #4
.byte:
        ld MORE
        and #More.ANSWER_BUSY
        beq .free
        call pause
        jmp .byte
.free:
        ld #word + 4
        sub steps
        st XL
        put XH, #0
        put ANSWER, [x]
        dec steps
        bne .byte
        jmp main

; A byte, or none.
answer_nothing:
        ld #0
answer_byte:
        st word
        clear word+1, 3
        jmp answer

; The two bytes in word.
answer_two:
        clear word+2, 2
        jmp answer

read_id:
        answer_constant #DEVICE_ID
read_version:
        ld #CONTRACT_VERSION
        jmp answer_byte
read_width:
        ld #1
        jmp answer_byte
read_sessions:
        ld #SESSIONS
        jmp answer_byte
read_window:
        ld #WINDOW
        jmp answer_byte
read_max_message:
        answer_constant #MAX_MESSAGE
read_hold:
        ld #HOLD
        jmp answer_byte
read_hold_limit:
        ld #HOLD_LIMIT
        jmp answer_byte
read_clock_hz:
        answer_constant #CLOCK_HZ
read_status:
        ld sending
        or request_of
        or ticks
        or ticks+1
        or ticks+2
        or ticks+3
        bne answer_nothing
        ld FLAGS
        and #Flag.RX | Flag.SEND
        bne answer_nothing
        ld MORE
        and #More.LEAVES
        bne answer_nothing
        ld #1
        jmp answer_byte
read_cycle_lo:
        call read_cycle
        move shown_cycle, now+4, 2
        move word, now, 4
        jmp answer
read_cycle_hi:
        move word, shown_cycle, 2
        jmp answer_two
read_tick_cycles:
        ld #tick_cycles
        jmp answer_global
read_time_date:
        ld #date
        jmp answer_global
read_time_day:
        move word, time_of_day, 3
        clear word+3
        jmp answer
read_time_milli:
        move word, milli, 2
        jmp answer_two
read_time_nano:
        put word+2, MICRO               ; the last two digits; the first one waits
        swap
        and #0xF0
        or nano+1
        st word+1
        put word, nano
        clear word+3
        ld word+2
        swap
        and #0x0F
        st word+2
        ld LATCH
        swap
        or word+2
        st word+2
        jmp answer
read_session:
        ld selected
        jmp answer_byte
read_number_lo:
        ld #new_number
        jmp answer_global
read_number_hi:
        ld new_number+4
        jmp answer_byte
read_policy:
        ld policy
        jmp answer_byte
read_chunk_lo:
        ld #chunk
        jmp answer_session
read_chunk_hi:
        ld chunk+4
        jmp answer_byte
read_window_limit:
        ld #window_limit
        jmp answer_session
read_resend_timeout:
        ld #resend_timeout
        jmp answer_session
read_resend_retries:
        ld resend_retries
        jmp answer_byte
read_ident_length:
        ld #ident_length
        jmp answer_session
read_state:
        ld recovery
        add recovery
        or may_request
        st scratch
        add scratch
        st scratch
        add scratch
        or phase
        jmp answer_byte
read_expected_lo:
        put shown_expected, expected+4
        ld #expected
        jmp answer_session
read_expected_hi:
        ld shown_expected
        jmp answer_byte
read_highest_lo:
        put shown_highest, highest+4
        ld #highest
        jmp answer_session
read_highest_hi:
        ld shown_highest
        jmp answer_byte
read_next_out_lo:
        put shown_next_out, next_out+4
        ld #next_out
        jmp answer_session
read_next_out_hi:
        ld shown_next_out
        jmp answer_byte
read_counter:
        ld counter
        add counter
        st scratch
        add scratch
        st XL
        ld session
        add #COUNTER_PAGE
        st XH
        jmp answer_there
read_bytes_lo:
        move shown_bytes, received+4, 2
        move shown_framed, framed, 6
        clear shown_partial, 3
        ld arriving
        beq .none
        minus_binary shown_partial, received, offset, 3
.none:
        ld #received
        jmp answer_session
read_bytes_hi:
        move word, shown_bytes, 2
        jmp answer_two
read_framed_lo:
        ld #shown_framed
        jmp answer_global
read_framed_hi:
        move word, shown_framed+4, 2
        jmp answer_two
read_partial:
        move word, shown_partial, 3
        clear word+3
        jmp answer

; -- Writing

; Four bytes from A on, of the session or of none.
store_session:
        st XL
        put XH, page
        jmp store_there
store_global:
        st XL
        put XH, #0
store_there:
        put [x+], word
        put [x+], word+1
        put [x+], word+2
        put [x+], word+3
        jmp main

write_tick_cycles:
        move tick_cycles, word, 4
        call read_cycle                 ; a tick begins
        move tick_at, now, 4
        call next_tick
        jmp main
write_tick:
        ld #ticks
        jmp store_global
write_time_date:
        ld #new_date
        jmp store_global
write_time_day:
        ld #new_day
        jmp store_global
write_time_milli:
        ld #new_milli
        jmp store_global
write_time_nano:
        ld #new_nano
        jmp store_global
write_time_load:
        put TIME_RUNS, #0
        put MILLI_SEEN, #0
        move date, new_date, 4
        move time_of_day, new_day, 3
        move milli, new_milli, 2
        put nano, new_nano              ; three digits each
        ld new_nano+1
        and #0x0F
        st nano+1
        ld new_nano+1
        swap
        and #0x0F
        st scratch
        ld new_nano+2
        swap
        and #0xF0
        or scratch
        st MICRO_LOW
        ld new_nano+2
        swap
        and #0x0F
        st MICRO_HIGH
        put TIME_RUNS, word
        jmp main
write_session:
        ld word
        cmp #SESSIONS
        bge main
        st selected
        jmp main
write_number_lo:
        ld #new_number
        jmp store_global
write_number_hi:
        put new_number+4, word
        jmp main
write_policy:
        put policy, word
        jmp main
write_chunk_lo:
        ld #chunk
        jmp store_session
write_chunk_hi:
        put chunk+4, word
        jmp main
write_window_limit:
        ld #window_limit
        jmp store_session
write_resend_timeout:
        ld #resend_timeout
        jmp store_session
write_resend_retries:
        put resend_retries, word
        jmp main
write_ident:
        put XL, word+1
        ld session
        add #IDENT_PAGE
        st XH
        put [x], word
        jmp main
write_ident_length:
        ld #ident_length
        jmp store_session
write_counter:
        put counter, word
        jmp main
