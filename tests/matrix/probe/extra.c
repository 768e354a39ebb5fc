int extra; /* for libextra.so.1 and libsub.so: that they are found is all that counts */
