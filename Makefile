# The commands of the project; `make` lists them. Every path is relative, so that a checkout may lie
# in a folder with spaces in its name.

PYTHON ?= python3
PRESET ?= paper
CONFIG ?=
TOP ?= core
OUT ?= build/verilog
LIBERTY ?=
FPGA ?=
UNIT ?=
CLOCK ?=
MODEL ?=
WAVES ?=
SWEEP ?= default
SCHEDULER ?=
PROGRAMS ?= 100000

ENV := .venv/complete
BIN := .venv/bin

# $(call option,--name,value) is the option, quoted for the shell, or nothing for an empty value.
quote = '$(subst ','\'',$(1))'
option = $(if $(2),$(1) $(call quote,$(2)))
configuration = $(or $(call option,--config,$(CONFIG)),--preset $(call quote,$(PRESET)))

# Commands below start compilers and their own make; they are not part of this make's -j.
unexport MAKEFLAGS MFLAGS

.DELETE_ON_ERROR:
.PHONY: help env sim synth sweep report verilog matrix test lint mutants soak programs clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 18
	@echo 'variables: PRESET=paper CONFIG=FILE.toml TOP=core OUT=build/verilog LIBERTY=FILE FPGA=ecp5 UNIT=NAME CLOCK=PS MODEL=DIR WAVES=1 SWEEP=default SCHEDULER=tcp://... PROGRAMS=100000'

env: $(ENV) ## build .venv from the lock (PYTHON=python3)

$(ENV): pyproject.toml requirements.lock scripts/env.sh
	@PYTHON=$(call quote,$(PYTHON)) sh scripts/env.sh

sim: $(ENV) ## run a model's layers through RTL and golden model (MODEL, WAVES)
	@$(BIN)/lutcore sim $(call option,--model,$(MODEL)) $(if $(filter-out 0,$(WAVES)),--waves)

synth: $(ENV) ## area of a core by unit, timing at CLOCK ps (PRESET or CONFIG, LIBERTY or FPGA, UNIT)
	@$(BIN)/lutcore synth $(configuration) $(call option,--liberty,$(LIBERTY)) \
		$(call option,--fpga,$(FPGA)) $(call option,--unit,$(UNIT)) \
		$(call option,--clock,$(CLOCK)) --out build/synth

sweep: $(ENV) ## measure many points (SWEEP, LIBERTY, SCHEDULER)
	@$(BIN)/python -m lutppa.sweep $(call quote,$(SWEEP)) $(call option,--liberty,$(LIBERTY)) \
		$(call option,--scheduler,$(SCHEDULER))

report: $(ENV) ## the account: a sweep and its page in build/report (SWEEP, LIBERTY, SCHEDULER)
	@$(BIN)/python -m lutppa.account $(call quote,$(SWEEP)) $(call option,--liberty,$(LIBERTY)) \
		$(call option,--scheduler,$(SCHEDULER))

verilog: $(ENV) ## write Verilog and what goes with it (PRESET or CONFIG, TOP, OUT)
	@$(BIN)/lutcore verilog $(configuration) --top $(call quote,$(TOP)) --out $(call quote,$(OUT))

matrix: $(ENV) ## check every activation type times every weight type (PRESET or CONFIG)
	@$(BIN)/lutcore matrix $(configuration)

lint: $(ENV) ## check style, format, types and import directions
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo

test: lint ## lint, then every test
	$(BIN)/pytest -n 2

mutants: $(ENV) ## apply deliberate RTL bugs one at a time; each must be caught
	@$(BIN)/python -m lutverif.mutants

soak: $(ENV) ## a long random comparison of RTL and golden model
	@$(BIN)/python -m lutverif.soak

programs: $(ENV) ## random LMMA programs, engine against simulator (PROGRAMS)
	@$(BIN)/python -m lutverif.engine_soak $(call quote,$(PROGRAMS))

clean: ## remove what the other targets wrote, except .venv
	@rm -rf build dist .hypothesis .import_linter_cache .pytest_cache .ruff_cache
	@find hw verif synth sw scripts -name __pycache__ -type d -prune -exec rm -rf {} +
