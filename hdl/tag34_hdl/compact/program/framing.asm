; F1 to F6: bytes of a connection become messages. A session's next byte is dealt with where next_byte says.

; Between messages: 8=FIX, wherever it stands (F4).
hunt:
        ld byte
        cmp #'8'
        bne main
hunt_8:
        wait_byte
hunt_equals:
        ld byte
        cmp #'='
        bne hunt_again
hunt_8_equals:
        wait_byte
hunt_f:
        ld byte
        cmp #'F'
        bne hunt_again
        wait_byte
        ld byte
        cmp #'I'
        bne hunt_again
        wait_byte
        ld byte
        cmp #'X'
        beq found
hunt_again:
        ld byte
        cmp #'8'
        beq hunt_8
hunt_on:
        wait_byte_at hunt

found:
        move offset, received, 6        ; less five
        ld offset
        sub #5
        st offset
        bcc .there
        borrow offset+1, 5
.there:
        put SLOT, slot
        put OFFSET_LOW, #0
        put OFFSET_HIGH, #0
        put MESSAGE, #'8'
        put MESSAGE, #'='
        put MESSAGE, #'F'
        put MESSAGE, #'I'
        put MESSAGE, #'X'
        put pointing, #1
        clear send_points
        put sum, #START_SUM
        put length, #5
        put arriving, #1
        clear length+1, 2
        st place
        st before
        st broken
        call fields_begin
        wait_byte

; BeginString, compared with the session's (R2).
begin_string:
        call take
        call compare_ident
        ld byte
        cmp #SOH
        bne main
        wait_byte

tag_9:
        ld byte
        cmp #'9'
        bne unusable
        call take
        wait_byte
        ld byte
        cmp #'='
        bne unusable
        call take
        clear remaining, 3
        st digits
        wait_byte

; BodyLength: one to six digits (F3).
body_length:
        ld byte
        cmp #SOH
        beq .closed
        cmp #'0'
        blt unusable
        cmp #'9' + 1
        bge unusable
        st before
        ld digits
        cmp #6
        beq unusable
        inc digits
        ld byte
        push_digit remaining, 3
        call take
        jmp main
.closed:
        ld digits
        beq unusable
        call take
        clear before
        ld remaining
        or remaining+1
        or remaining+2
        bne .some
        put broken, #1                  ; there is no 35=
        call sum_up
        wait_byte_at trailer
.some:
        ; The last two digits are counted down as a binary number: so much is quick.
        ld remaining
        call binary
        st remaining
        bne .counts
        call hundred_less
.counts:
        wait_byte

body:
        call take
        ; It begins with 35=
        ld place
        cmp #3
        beq .begun
        inc place
        cmp #1
        blt .three
        beq .five
        ld #'='
        jmp .compare
.five:
        ld #'5'
        jmp .compare
.three:
        ld #'3'
.compare:
        cmp byte
        beq .begun
        put broken, #1
.begun:
        dec remaining
        bne .inside
        ld remaining+1
        or remaining+2
        beq .last
        call hundred_less
        jmp .inside
.last:
        ; Its last byte closes a field.
        clear place
        become next_byte, trailer
        call sum_up
        ld byte
        cmp #SOH
        beq .inside
        put broken, #1
.inside:
        put XL, next_field
        put XH, next_field+1
        jx

; 10=, three digits, SOH, at the declared end and nowhere else.
trailer:
        ld byte
        cmp #'1'
        bne cut
        call take_trailer
        wait_byte
        ld byte
        cmp #'0'
        bne cut
        call take_trailer
        wait_byte
        ld byte
        cmp #'='
        bne cut
        call take_trailer
        wait_byte
.digit:
        ld byte
        cmp #'0'
        blt cut
        cmp #'9' + 1
        bge cut
        st before
        and #15
        st digit
        ld place
        add #sum_digits - 3
        st XL
        put XH, page
        ld digit
        cmp [x]
        beq .fits
        put broken, #1
.fits:
        call take_trailer
        ld place
        cmp #6
        bne main
        wait_byte
        ld byte
        cmp #SOH
        bne cut
        call take
        call judge
        wait_byte_at hunt

; BodyLength is of no use: the message is garbled, and ends before the byte that proves it, or before the 8 of 8=.
unusable:
        ld byte
        cmp #'='
        bne cut
        ld before
        cmp #'8'
        bne cut
        inc place

; What should be the trailer is none: the message is garbled, and the search goes on at its declared end (F4). What has
; been seen of the next one can be no more than 8=.
cut:
        ld length
        sub place
        st length
        bcc .there
        borrow length+1, 2
.there:
        put broken, #1
        call judge
        ld byte
        cmp #'='
        bne hunt_again
        ld before
        cmp #'8'
        bne hunt_on
        jmp hunt_8_equals

; The byte is one of the message: it is stored, summed and counted. Beyond the end of its slot it goes round: such a
; message is not looked at any more (F5).
take:
        ld pointing
        bne .there
        call point
.there:
        put MESSAGE, byte
        add sum
        st sum
        inc length
        bne .counted
        inc length+1
        bne .counted
        inc length+2
        bne .counted
        ld #255                         ; it may be of any length, what is told of it may not
        st length
        st length+1
        st length+2
.counted:
        ret

; The place in the message memory is that of the next byte, until somebody else needs it.
point:
        put SLOT, slot
        put OFFSET_LOW, length
        put OFFSET_HIGH, length+1
        put pointing, #1
        clear send_points
        ret

take_trailer:
        inc place
        jmp take

; The next hundred of the remaining bytes.
hundred_less:
        put remaining, #100
        less_one remaining+1, 2
        ret

; The digits that CheckSum should have.
sum_up:
        ld sum
        call three_digits
        move sum_digits, three_digits_of, 3
        ret

; A byte becomes three digits.
three_digits:
        st ones
        clear hundreds
        st tens
        ld ones
.hundred:
        cmp #100
        blt .ten
        sub #100
        inc hundreds
        jmp .hundred
.ten:
        cmp #10
        blt .one
        sub #10
        inc tens
        jmp .ten
.one:
        st ones
        ret
