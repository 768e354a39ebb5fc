/* judge.h: what the answers mean. Private to diagnose. */
#ifndef EM_BUNDLE_DIAGNOSE_JUDGE_H
#define EM_BUNDLE_DIAGNOSE_JUDGE_H

#include "bundle/diagnose/standing.h"

/* Turns cases into findings, and adds them. */
int em_judge(struct em_findings *findings, const struct em_advisor *advisor);

#endif
