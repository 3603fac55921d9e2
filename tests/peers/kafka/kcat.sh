#!/bin/sh
# librdkafka by kcat: kcat.sh ADDRESS ID TOPIC, of a topic that exists. Its own log, on stderr, has a line for each
# request and each answer.
set -eu
address=$1 id=$2 topic=$3
kcat="timeout 60 kcat -b $address -d protocol -X broker.address.family=v4"

$kcat -X client.id="$id-list" -L -t "$topic"
for kind in none gzip snappy lz4 zstd; do
    seq 20 | sed 's/.*/key&:value & abcdefghabcdefghabcdefgh/' |
        $kcat -X client.id="$id-$kind" -X linger.ms=50 -P -t "$topic" -K : -H trace=id -z "$kind"
done
seq 10 | $kcat -X client.id="$id-acks-0" -X acks=0 -X linger.ms=0 -X batch.num.messages=1 -P -t "$topic"
seq 10 | $kcat -X client.id="$id-acks-1" -X acks=1 -X linger.ms=0 -X batch.num.messages=1 -P -t "$topic"
seq 10 | $kcat -X client.id="$id-idempotent" -X enable.idempotence=true -P -t "$topic"
seq 10 | $kcat -X client.id="$id-transaction" -X transactional.id="$id" -P -t "$topic"
$kcat -X client.id="$id-read" -C -t "$topic" -o beginning -e -q
$kcat -X client.id="$id-offset" -Q -t "$topic:0:-1"
# The members of a group: one that leaves in the end, one that finds what it committed.
for member in first second; do
    $kcat -X client.id="$id-$member" -X auto.offset.reset=earliest -X enable.partition.eof=true -X session.timeout.ms=6000 \
        -G "$id" -e -q "$topic"
done
# Unknown: kcat ends with an error.
! $kcat -X client.id="$id-unknown" -C -t "$topic-none" -e -q
