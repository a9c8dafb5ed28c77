/*
 * processor.h - where the bench and what it starts may run.
 */
#ifndef PROCESSOR_H
#define PROCESSOR_H

#include <stdbool.h>

/*
 * Keeps this process, and all that it starts from now on, on one processor;
 * or lets it go again. A round trip takes several times as long when each
 * side has a processor of its own that has to be woken: whether it has one is
 * the kernel's choice, and would hide what is measured. Does nothing where
 * the system has no such call.
 */
void use_one_processor(bool one);

#endif
