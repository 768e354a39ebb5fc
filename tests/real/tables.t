#!/bin/sh
# The tables against NVIDIA's wheels: which package brings a library, in which directory and versions, and what opens what.
. "$ELFMEND_TOP/tests/real/tap"
python3 "$real/tables.py" "$("$real/env" torch)" "$("$real/env" ct2-9)" "$("$real/env" ct2-8)" "$("$real/env" ort)" > differ 2> checked
same "the tables are as the wheels are ($(cat checked))" /dev/null differ
finish
