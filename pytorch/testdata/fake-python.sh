#!/bin/sh
# A stand-in for Python in the set-up's tests: notes how it was called and does the least that set-up rests on.
echo "python $*" >>"$FAKE_LOG"
case "$1 $2" in
"-I -c")
	cat <<-JSON
	{"version": [3, ${FAKE_MINOR:-12}, 1], "implementation": "${FAKE_IMPLEMENTATION:-CPython}", "bits": ${FAKE_BITS:-64},
	 "base": "$0", "venv": true, "ensurepip": ${FAKE_PIP:-true}}
	JSON
	;;
"-m venv")
	for dir; do :; done # the last argument
	mkdir -p "$dir/bin" "$dir/lib/python3.12/site-packages"
	ln -s "$0" "$dir/bin/python"
	;;
"-m pip")
	cp "$FAKE_UV" "$(dirname "$0")/uv"
	;;
"-c import"*)
	if [ -n "$FAKE_IMPORT_FAILS" ]; then
		echo "ImportError: libstdc++.so.6: cannot open shared object file" >&2
		exit 1
	fi
	;;
esac
