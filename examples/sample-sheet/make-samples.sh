#!/bin/sh
# Makes a sheet of a thousand samples: sh make-samples.sh > samples.csv
awk 'BEGIN {
  print "sample,condition,mean,reads,comment"
  for (i = 1; i <= 1000; i++) {
    treated = i % 2
    printf "s%04d,%s,%.1f,%d,\n", i, treated ? "treated" : "control", treated ? 12.5 : 10, 50 + i % 7
  }
}'
