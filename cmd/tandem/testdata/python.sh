#!/bin/sh
# A stand-in for Python in the command's tests. It does the least that "tandem setup" rests on, "installs" what the pinned
# requirements name by leaving dist-info folders, and hands the exporter's and the engine's part to commands in Go.
case "$1 $2" in
"-I -c")
	echo "{\"version\": [3, ${FAKE_MINOR:-12}, 1], \"implementation\": \"CPython\", \"bits\": 64, \"base\": \"$0\", \"venv\": true, \"ensurepip\": true}"
	;;
"-m venv")
	for dir; do :; done # the last argument
	mkdir -p "$dir/bin" "$dir/lib/python3.12/site-packages"
	ln -s "$0" "$dir/bin/python"
	;;
"-m pip")
	ln -s "$0" "$(dirname "$0")/uv"
	;;
"-m tandem_pytorch.export")
	shift 2
	exec fake-exporter "$@"
	;;
"-m tandem_pytorch.samples")
	shift 2
	exec fake-samples "$@"
	;;
"-m tandem_pytorch.engine")
	exec fake-engine $FAKE_PYTORCH
	;;
"pip install" | "pip sync")
	site=$(dirname "$0")/../lib/python3.12/site-packages
	previous=
	for arg; do
		[ "$previous" = -r ] && sed -n 's/^\([A-Za-z0-9._-]*\)==\([^ ;]*\).*/\1 \2/p' "$arg" | while read -r name version; do
			info=$site/$(echo "$name" | tr - _)-$version.dist-info
			mkdir -p "$info" && : >"$info/RECORD"
		done
		previous=$arg
	done
	mkdir -p "$site/onnxruntime/capi"
	;;
esac
