# round_trips.gnuplot - microseconds of a round trip as bars, up to the 99th
# percentile as whiskers.
# usage: gnuplot -c round_trips.gnuplot DATA.dat FIGURE.svg
set terminal svg size 800,460 font "sans-serif,15" background rgb "white"
set output ARG2
set title "Round trips: median, and up to the 99th percentile"
set xlabel "pair, message size"
set ylabel "time of a round trip (µs)"
set yrange [0:*]
set grid ytics linecolor rgb "#dddddd"
set key top right
set style data histograms
set style histogram errorbars gap 1 linewidth 1.5
set style fill pattern border linecolor rgb "#000000"
set xtics nomirror
# Columns: label, ours (median, 99 %), bare loop (median, 99 %).
plot ARG1 using 2:2:3:xticlabels(1) title "ours" fillstyle solid \
         linecolor rgb "#0072B2", \
     ARG1 using 4:4:5 title "bare loop" fillstyle pattern 4 \
         linecolor rgb "#D55E00"
