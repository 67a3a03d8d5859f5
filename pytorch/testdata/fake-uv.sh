#!/bin/sh
# A stand-in for uv in the set-up's tests: "installs" a package by leaving its dist-info folder.
echo "uv $* [index $UV_DEFAULT_INDEX]" >>"$FAKE_LOG"
[ "$1" = --version ] && exit 0
if [ -n "$FAKE_UV_FAILS" ]; then
	echo "$FAKE_UV_FAILS" >&2
	exit 2
fi
if [ -n "$FAKE_UV_HANGS" ]; then
	sleep 600 &
	echo $! >"$FAKE_UV_HANGS.child"
	mv "$FAKE_UV_HANGS.child" "$FAKE_UV_HANGS"
	echo "Downloading torch (500.0MiB)"
	wait
fi
site=$(dirname "$0")/../lib/python3.12/site-packages
install() {
	info=$site/$(echo "$1" | tr - _)-$2.dist-info
	mkdir -p "$info" && : >"$info/RECORD"
	echo " + $1==$2" >&2
}
previous=
for arg; do
	[ "$previous" = -r ] && sed -n 's/^\([A-Za-z0-9._-]*\)==\([^ ;]*\).*/\1 \2/p' "$arg" | while read -r name version; do install "$name" "$version"; done
	case "$arg" in torch==*) install torch "${arg#torch==}+cpu" ;; esac
	previous=$arg
done
mkdir -p "$site/onnxruntime/capi" && : >"$site/onnxruntime/capi/libonnxruntime.so.1" && : >"$site/onnxruntime/capi/libonnxruntime.1.dylib"
