#!/bin/sh
# Formats DIR/data and runs a broker in the foreground, on loopback, until its stdin ends; DIR goes with it:
#   broker.sh LIBS DIR PORT SASL_PORT CONTROLLER_PORT NODE
# LIBS is where Maven copied the dependencies of pom.xml. It is up when PORT takes connections. Node 1 is the controller,
# too; others join the one at CONTROLLER_PORT.
set -eu
libs=$1 dir=$2 here=$(dirname "$0")
# However the one who started it ends, a pipe of its own ends then, too. What runs in the background reads no stdin.
exec 3<&0
{
    cat <&3 >/dev/null
    kill -KILL $$ || true
    rm -rf "$dir"
} &
exec 3<&- </dev/null
sed -e "s|@DIR@|$dir|" -e "s/@PORT@/$3/g" -e "s/@SASL_PORT@/$4/g" -e "s/@CONTROLLER_PORT@/$5/g" \
    -e "s/@NODE@/$6/g" "$here/server.properties" > "$dir/server.properties"
if [ "$6" != 1 ]; then
    sed -i -e "s/^process.roles=.*/process.roles=broker/" -e "/^listeners=/s/,CONTROLLER:.*//" "$dir/server.properties"
fi
log4j="-Dlog4j2.configurationFile=$here/log4j2.broker.properties"
java "$log4j" -Xmx128m -XX:TieredStopAtLevel=1 -cp "$libs/*" kafka.tools.StorageTool format -t kfKBxSyxTeWqzSRYHl0Apw \
    -c "$dir/server.properties" --add-scram 'SCRAM-SHA-256=[name=scrammer,password=scrammer-password]'
exec java "$log4j" -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$libs/*" kafka.Kafka "$dir/server.properties"
