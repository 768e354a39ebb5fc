int spare(void)
{
    return 5;
} /* wanted weakly: whoever needs it can do without */
