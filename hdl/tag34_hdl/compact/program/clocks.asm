; The clocks: their low parts count by themselves, what is above is done here, often enough to miss nothing.

watch_if_due:
        ld FLAGS
        and #Flag.WATCH
        bne watch
        ret

watch:
        put WATCHED, #0
        call watch_milli
        call read_cycle
        ; Ticks: is the next one due?
        ld tick_cycles
        or tick_cycles+1
        or tick_cycles+2
        or tick_cycles+3
        bne .tick
        ret
.tick:
        difference now, tick_at, 4
        and #128
        bne .done
        put IDLE, #0
        count ticks, 4
        call next_tick
        jmp .tick
.done:
        ret

; tick_at goes on by a tick, tick_cycles + 1.
next_tick:
        plus_one_binary tick_at, tick_cycles, 4
        ret

; now := the cycle counter.
read_cycle:
        put now, CYCLE
        ld LATCH
        cmp now+1
        st now+1
        bge .done
        count now+2, 4
.done:
        ret

; UTC, a millisecond at a time (S5). Each unit goes up when the one before it has come to its end.
watch_milli:
        ld MORE
        and #More.MILLI
        bne .up
        ret
.up:
        put MILLI_SEEN, #0
        count_decimal milli, 2
        ld milli+1
        cmp #0x10
        bne .done
        clear milli+1
        count_decimal second, 1
        cmp #0x60
        bne .done
        clear second
        count_decimal minute, 1
        cmp #0x60
        bne .done
        clear minute
        count_decimal hour, 1
        cmp #0x24
        bne .done
        clear hour
        call last_day
        cmp day
        beq .month
        count_decimal day, 1
.done:
        ret
.month:
        put day, #1
        count_decimal month, 1
        cmp #0x13
        bne .done
        put month, #1
        count_decimal year, 2
        ret

; A := the last day of the month.
last_day:
        ld month
        cmp #0x02
        beq .february
        cmp #0x04
        beq .short
        cmp #0x06
        beq .short
        cmp #0x09
        beq .short
        cmp #0x11
        beq .short
        ld #0x31
        ret
.short:
        ld #0x30
        ret
.february:
        ; Every fourth year is a leap year, of the centuries every fourth.
        ld year
        bne .years
        ld year+1
.years:
        st scratch_time
        swap
        and #1                          ; ten is two modulo four
        beq .ones
        ld #2
.ones:
        add scratch_time
        and #3
        beq .leap
        ld #0x28
        ret
.leap:
        ld #0x29
        ret

; Ticks have passed: as many at a time as no timer ends within (R14).
pass_ticks:
        move tick_step, ticks, 4
        put steps, #SESSIONS
        clear loop
.least:
        dec steps
        ld steps
        call select
        call timer_runs
        beq .next
        put loop, #1
        compare timer, tick_step, 4
        bge .next
        move tick_step, timer, 4
.next:
        ld steps
        bne .least
        ld loop
        bne .some
        clear ticks, 4                  ; nobody waits for any
        jmp main
.some:
        minus_binary ticks, ticks, tick_step, 4
        put steps, #0
.session:
        ld steps
        call select
        call timer_runs
        beq .no
        minus_binary timer, timer, tick_step, 4
        bne .no
        call time_out
.no:
        inc steps
        ld steps
        cmp #SESSIONS
        bne .session
        jmp main

; A, Z: the session's timer runs.
timer_runs:
        ld phase
        cmp #Phase.ACTIVE
        bne .no
        ld recovery
        beq .no
        ld may_request
        beq .no
        ld resend_timeout
        or resend_timeout+1
        or resend_timeout+2
        or resend_timeout+3
        ret
.no:
        ld #0
        ret

; R14: the request is repeated, or it has been often enough.
time_out:
        call read_cycle
        move at_cycle, now, 6
        ld retries
        cmp resend_retries
        beq .failed
        inc retries
        move timer, resend_timeout, 4
        put why, #Rule.R14
        jmp ask
.failed:
        put phase, #Phase.HALTED
        call room
        put record_kind, #EVENT | EventCode.RECOVERY_FAILED << 2
        jmp tell_expected
