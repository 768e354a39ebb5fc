/* doctor.h: what doctor says of the environment whose Python is the active one: which frameworks are in it, and which of CUDA's
 * libraries they would get. What is wrong with it is audit's to say; here stands only how much.
 *
 *     r = em_doctor_environment_read(&environment, &options, &world, &knowledge, &interpreter, error)    path NULL: there is none
 */
#ifndef EM_CLI_DOCTOR_H
#define EM_CLI_DOCTOR_H

#include "bundle/diagnose/interpreter.h"
#include "cli/survey.h"

/* A library of CUDA's as something other than CUDA's own asks for it. */
struct em_doctor_library {
    const char *name;
    const char *path;   /* as shown; NULL: nothing answers */
    const char *object; /* the first that asks, as shown */
};

struct em_doctor_environment {
    const char *path; /* NULL: the Python has no environment of its own that could be looked at */
    struct em_env env;
    struct em_diagnosis diagnosis;
    struct {
        EM_VEC(struct em_doctor_library);
    } libraries;
};

int em_doctor_environment_read(struct em_doctor_environment *environment, struct em_options *options,
                               const struct em_world *world, const struct em_knowledge *knowledge,
                               const struct em_interpreter *interpreter, struct em_error *error);
void em_doctor_environment_print(const struct em_doctor_environment *environment);
json_t *em_doctor_environment_json(const struct em_doctor_environment *environment);

#endif
