/* What the objects under test lean on: two versions of a function, two functions of the same kind, data, and a thread's variable. */
__attribute__((symver("which@DEP_1"))) int which_old(void)
{
    return 1;
}

__attribute__((symver("which@@DEP_2"))) int which_new(void)
{
    return 2;
}

int alias(void)
{
    return 1;
}

int alias_of_a_longer_name(void)
{
    return 2;
}

int dep_data = 7;
__thread int dep_tls = 11;
