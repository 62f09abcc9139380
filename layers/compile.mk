# A layer can't be written to on Lambda: without compiled files each cold start compiles what it
# imports. Only Lambda's own version of Python can make them, so a machine without it makes none.
# Unchecked, since a zip loses the times of files; under /opt, where layers lie: the same everywhere.
# Tried by running it: a shim of that name may have nothing behind it.
LAMBDA_PYTHON ?= python3.13

.PHONY: compile
compile:
	@if [ "$(TARGET)" != emulator ] && $(LAMBDA_PYTHON) -c '' 2>/dev/null; then \
		$(LAMBDA_PYTHON) -m compileall -q --invalidation-mode unchecked-hash \
			-s "$(ARTIFACTS_DIR)" -p /opt "$(ARTIFACTS_DIR)/python"; \
	fi
