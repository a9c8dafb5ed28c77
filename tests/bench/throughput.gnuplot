# throughput.gnuplot - bytes per second over the size of messages, for the four
# pairs, and beside them the bare loops.
# usage: gnuplot -c throughput.gnuplot DATA.dat FIGURE.svg
#
# Colours that the colour-blind can tell apart (Okabe and Ito's), and points of
# different shapes, for a print in grey.
set terminal svg size 800,480 font "sans-serif,15" background rgb "white"
set output ARG2
set xlabel "message size (bytes)"
set ylabel "throughput (MB/s, in one direction)"
set logscale x 2
set logscale y 10
set xrange [45:1500000]
set xtics ("64" 64, "1 Ki" 1024, "4 Ki" 4096, "16 Ki" 16384, \
    "64 Ki" 65536, "1 Mi" 1048576)
set grid xtics ytics linecolor rgb "#dddddd"
set key bottom right samplen 3 spacing 1.2
set linetype 1 linecolor rgb "#D55E00" pointtype 7 linewidth 2
set linetype 2 linecolor rgb "#0072B2" pointtype 9 linewidth 2
set linetype 3 linecolor rgb "#000000" pointtype 5 linewidth 2
set linetype 4 linecolor rgb "#009E73" pointtype 4 linewidth 2
plot for [pair=0:3] ARG1 index pair using 1:2 with linespoints \
         linetype pair + 1 title columnheader(1), \
     for [pair=0:3] ARG1 index pair using 1:3 with lines linetype pair + 1 \
         linewidth 1 dashtype 2 notitle, \
     NaN with lines linecolor rgb "#777777" dashtype 2 title "its bare loop"
