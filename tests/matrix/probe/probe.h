/* probe.h: what an object must still do after an edit.
 *
 * probe() gives NULL, or what went wrong. Its arguments are what an edit may have changed: the version of which() that is bound, the
 * alias that is called, whether libsub.so is found by the object's own search path, whether libspare.so.1 is there.
 */
#ifndef PROBE_H
#define PROBE_H

struct expected {
    int which, alias, sub, spare;
};

const char *probe(const struct expected *expected);
int exported(void);

#endif
