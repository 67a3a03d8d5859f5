# tandem's targets: "make help" lists them. On a fresh machine Go, Python 3.11 or newer, make and a C compiler are enough.

GO ?= go
# Where set-up puts the Python environment: the same rule as in the package pytorch.
ENVIRONMENT = $(or $(TANDEM_ENV),$(CURDIR)/.tandem/python)
PYTHON = $(ENVIRONMENT)/venv/bin/python
UV = $(ENVIRONMENT)/venv/bin/uv
TOOL = $(GO) tool -modfile=tools/go.mod
# How long test-long fuzzes each target.
FUZZTIME ?= 20s
# Where bench writes, and how long it runs each benchmark.
BENCH ?= runs/bench
BENCHTIME ?= 200ms
# How many seeds false-alarms compares with.
SEEDS ?= 30

.DEFAULT_GOAL := help
.PHONY: help setup build compare test tensorboard-setup test-long bench false-alarms zoo zoo-setup large publish release lint format size requirements clean purge

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s%s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## build bin/tandem
	$(GO) build -o bin/tandem ./cmd/tandem

setup: build ## make the Python environment in .tandem/python (once; TANDEM_TORCH_INDEX chooses a CPU-only PyTorch)
	bin/tandem setup

compare: setup ## the main job: train the MNIST MLP in PyTorch and natively, judge, time, report
	bin/tandem run mnist-mlp --prove --out runs/mnist-mlp

test: setup tensorboard-setup ## all tests, real PyTorch and ONNX Runtime and other tools' readers among them
	$(GO) vet ./...
	$(TESTED) $(GO) test -timeout 30m ./...
	PYTHONPATH=pytorch PYTHONNOUSERSITE=1 $(PYTHON) -m unittest discover --start-directory pytorch/tests --top-level-directory pytorch

# What the tests must find.
TESTED = TANDEM_REQUIRE=pytorch,onnxruntime TANDEM_TENSORBOARD=$(TENSORBOARD)/bin/python

# TensorBoard, whose own reader a test asks: an environment of its own, once.
TENSORBOARD = $(CURDIR)/.tandem/tensorboard
tensorboard-setup: setup
	@cmp -s results/tensorboard/requirements.txt $(TENSORBOARD)/requirements.txt || { rm -rf $(TENSORBOARD) && \
		$(UV) venv --quiet --python $(PYTHON) $(TENSORBOARD) && \
		$(UV) pip install --quiet --python $(TENSORBOARD)/bin/python --only-binary :all: --require-hashes -r results/tensorboard/requirements.txt && \
		cp results/tensorboard/requirements.txt $(TENSORBOARD); }

# What the race detector is not asked to see, because what these tests have beside the others is time in Python: real PyTorch, and the page on engines.
# The scripts run the whole command with both engines, and "test" runs these too.
WITHOUT_RACE = ^TestReal|^TestWritingAnEngine$$

test-long: setup tensorboard-setup ## under the race detector (checkptr with it), all comparisons with PyTorch, functions at every number, each fuzz target for FUZZTIME (20s)
	$(TESTED) $(GO) test -race -timeout 60m -skip '$(WITHOUT_RACE)' ./...
	$(TESTED) $(GO) test ./cmd/tandem -run '^TestReal|^TestScripts$$' -exhaustive -timeout 30m
	$(GO) test ./native/kernel -run Approximations -exhaustive -timeout 60m
	@set -e; for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

bench: setup ## Go benchmarks of the native trainer and the tables of limits, in BENCH (runs/bench): an idle machine, some minutes
	mkdir -p $(BENCH)
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./native/... >$(BENCH)/kernels.txt
	PYTHONPATH=pytorch PYTHONNOUSERSITE=1 $(PYTHON) -m tandem_pytorch.matmul <$(BENCH)/kernels.txt >$(BENCH)/torch.txt
	grep -v '^ok ' $(BENCH)/kernels.txt | cat - $(BENCH)/torch.txt >$(BENCH)/all.txt
	mv $(BENCH)/all.txt $(BENCH)/kernels.txt && rm $(BENCH)/torch.txt
	bin/tandem bench --kernels $(BENCH)/kernels.txt | tee $(BENCH)/kernels.md

publish: setup ## rewrite results/published, results/METHOD.md and the README's result and table: an idle machine, an hour, Fashion-MNIST ("tandem doctor")
	bin/tandem bench mnist-mlp --prove --out results/published/mnist-mlp
	bin/tandem bench mnist-mlp --prove --threads 1 --out results/published/mnist-mlp-1-thread
	bin/tandem bench mnist-mlp $(FULL) --set data.train=1000 --set train.epochs=20 --set 'parity.judged_steps=[0,1,2,10,31,32,-1]' \
		--out results/published/mnist-mlp-1000
	bin/tandem bench mnist-mlp $(FULL) --set data.train=10000 --set train.epochs=10 --set 'parity.judged_steps=[0,1,2,10,312,313,-1]' \
		--out results/published/mnist-mlp-10000
	bin/tandem bench mnist-mlp $(FULL) --set train.epochs=5 --set 'parity.judged_steps=[0,1,2,10,1874,1875,-1]' --out results/published/mnist-mlp-60000
	bin/tandem run transformer-small --publish --out results/published/transformer-small
	bin/tandem run resnet18-cifar --profile --set 'timing.modes=["eager","fused","channels-last","compile-channels-last"]' --publish \
		--out results/published/resnet18-cifar
	bin/tandem bench mnist-mlp --sweep batch=32,256,1024,threads=1,2 --set 'timing.modes=["eager","fused","compile","compile-fused"]' \
		--out results/published/mnist-mlp-sweep
	bin/tandem bench transformer-small --sweep width=64,128,256,layers=1,4,sequence=32,64 --set data.source=synthetic-text --set data.train=400 \
		--set data.test=8 --set train.max_steps=24 --set schedule.warm_up=4 --set timing.blocks=10 --set timing.block_steps=5 \
		--set 'timing.modes=["fused"]' --out results/published/transformer-small-sweep
	$(MAKE) bench BENCH=results/bench
	$(GO) test ./results/report -run Method -update
	$(GO) test ./cmd/tandem -run Readme -update

# The whole of Fashion-MNIST, its 10,000 test images each time, and seven trainings on each side.
FULL = --data fashion-mnist --prove --runs 6

false-alarms: setup ## judge the MLP with SEEDS (30) other seeds, two at a time: none may be FAIL (6 minutes)
	rm -rf runs/false-alarms/mnist-mlp
	seq 0 $$(($(SEEDS) - 1)) | xargs -P 2 -I SEED sh -c 'bin/tandem run mnist-mlp --seed SEED --threads 1 --timing=false --quiet \
		--out runs/false-alarms/mnist-mlp/seed-SEED; test -e runs/false-alarms/mnist-mlp/seed-SEED/result.json'
	$(GO) run ./results/falsealarms/summarise runs/false-alarms/mnist-mlp results/published/false-alarms/mnist-mlp

# What the zoo's models come from, beside the Python environment and behind its packages: torchvision must be built for its PyTorch.
ZOO = $(CURDIR)/.tandem/zoo
ZOO_INSTALL = $(UV) pip install --python $(PYTHON) --target $(ZOO) --no-deps --only-binary :all: --quiet
# "make zoo ZOOFLAGS=--timing" measures the speed as well; with MODELS="resnet18 t5" only these are compared anew.
zoo: zoo-setup ## judge real models of torchvision, transformers, timm and by hand; write results/published/zoo (30 minutes on 2 cores, 13 GiB of memory, 160 MB)
	$(GO) run ./results/zoo/survey $(ZOOFLAGS) runs/zoo results/published/zoo/zoo $(MODELS)

zoo-setup: setup # the packages that models of the zoo come from, once
	@cmp -s fixtures/zoo/requirements.txt $(ZOO)/requirements.txt || { rm -rf $(ZOO) && mkdir -p $(ZOO) && \
		$(ZOO_INSTALL) --require-hashes -r fixtures/zoo/requirements.txt && \
		if [ -n "$$TANDEM_TORCH_INDEX" ]; then UV_DEFAULT_INDEX="$$TANDEM_TORCH_INDEX" $(ZOO_INSTALL) --reinstall \
			"$$(sed -n 's/^\(torchvision==[^ ]*\).*/\1/p' fixtures/zoo/requirements.txt)"; fi && \
		cp fixtures/zoo/requirements.txt $(ZOO); }

large: setup ## judge a Transformer of 12 layers of 768, 85 million parameters (5 minutes, up to 14 GiB of memory, 6 GiB of disk for a while)
	bin/tandem run transformer-small $(LARGE) --timing=false --out runs/transformer-large

# GPT-2's smallest size, on a batch and a training that are as short as they can be.
LARGE = --set data.source=synthetic-text --set data.train=8 --set data.test=2 --set model.args.width=768 --set model.args.layers=12 \
	--set model.args.heads=12 --set model.args.feed_forward=3072 --set train.batch=2 --set train.max_steps=2 --set schedule.warm_up=1 \
	--set 'parity.judged_steps=[0]'

release: ## check .goreleaser.yaml and build a release's archives for all systems in dist, publishing nothing (minutes the first time)
	@set -e; git remote get-url origin >/dev/null 2>&1 || export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=remote.origin.url GIT_CONFIG_VALUE_0=https://github.com/OWNER/tandem; \
	$(GO) tool -modfile=tools/goreleaser.mod goreleaser check; \
	$(GO) tool -modfile=tools/goreleaser.mod goreleaser release --snapshot --clean --skip=publish
	@set -e; for archive in linux_amd64.tar.gz linux_arm64.tar.gz darwin_amd64.tar.gz darwin_arm64.tar.gz windows_amd64.zip windows_arm64.zip; do \
		test -s dist/tandem_*_$$archive || { echo "there is no archive for $$archive"; exit 1; }; \
	done; tar tf dist/tandem_*_linux_amd64.tar.gz | grep -q '^man/tandem-run\.1$$' || { echo "there are no manual pages in the archives"; exit 1; }; binary=$$(ls dist/tandem_$$($(GO) env GOOS)_$$($(GO) env GOARCH)*/tandem*); $$binary version; cd dist && $$OLDPWD/$$binary check mnist-mlp --quiet

lint: build ## gofumpt, go vet, staticcheck, actionlint (pinned in tools/go.mod); the list of licences
	@unformatted=$$($(TOOL) gofumpt -l .); test -z "$$unformatted" || { echo "not formatted (make format):"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	$(TOOL) actionlint examples/github-actions/*.yml
	@$(GO) version -m bin/tandem | awk '$$1 == "dep" { print $$2 }' | while read -r module; do \
		grep -qE "(^\| |, )($$module|$${module#golang.org/})[ ,;]" THIRD_PARTY_LICENSES.md || \
			{ echo "$$module is linked in: add its licence to THIRD_PARTY_LICENSES.md"; exit 1; }; \
	done

format: ## write all Go files in gofumpt's format
	$(TOOL) gofumpt -w .

size: ## lines of each folder: code, tests, generated left out
	@find . \( -name '.?*' -o -name bin -o -name runs -o -name testdata \) -prune -o \( -name '*.go' -o -name '*.py' -o -name '*.s' \) -print | \
		xargs grep -L '^\(// \|# \)\?Code generated .* DO NOT EDIT' | xargs wc -l | \
		awk '$$2 != "total" { folder = $$2; sub(/^\.\//, "", folder); name = folder; sub(/[^\/]*$$/, "", folder); \
			if (name ~ /_test\.go$$|(^|\/)tests\//) test[folder] += $$1; else code[folder] += $$1; all[folder] } \
			END { for (f in all) { printf "%-36s %6d %6d\n", f, code[f], test[f]; c += code[f]; t += test[f] } \
			printf "%-36s %6d %6d\n", "~ all", c, t }' | LC_ALL=C sort | sed '1i folder                                 code  tests'

requirements: setup ## compile the requirements.txt of pytorch, results/tensorboard and fixtures/zoo, and uv.txt, from their .in files
	cd pytorch && for name in requirements uv; do \
		$(UV) pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-annotate --quiet \
			--custom-compile-command "make requirements" --upgrade $$name.in -o $$name.txt || exit 1; \
	done
	cd results/tensorboard && $(UV) pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-annotate --quiet \
		--custom-compile-command "make requirements" --upgrade -c ../../pytorch/requirements.txt requirements.in -o requirements.txt
	cd fixtures/zoo && $(UV) pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-annotate --quiet \
		--custom-compile-command "make requirements" --upgrade -c ../../pytorch/requirements.txt requirements.in -o requirements.txt \
		$$(sed -n 's/^\([a-z0-9-]*\)==.*/--no-emit-package \1/p' ../../pytorch/requirements.txt)

clean: ## remove what build made
	rm -rf bin dist dist-man

purge: clean ## remove the Python environment too; set-up makes it again
	rm -rf .tandem
