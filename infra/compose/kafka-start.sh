#!/bin/sh
# Makes the users of the broker when its directory is new, then becomes the broker. Runs in
# apache/kafka and in the image of infra/images alike.
set -eu
settings=/etc/kafka-compose/kafka.properties
java="java -cp /opt/kafka/libs/* -Xmx512m"
# The star is for Java, not for the shell.
set -f
if [ ! -e /kafka-data/log/meta.properties ]; then
  users=
  for user in admin serverless-ai operator; do
    password=$(cat "/secrets/kafka/$user.password")
    users="$users--add-scram
SCRAM-SHA-512=[name=$user,password=$password]
"
  done
  # One argument in a line. As arguments all of the machine would see them, while Java runs.
  printf %s "$users" |
    $java kafka.tools.StorageTool format -t c2VydmVybGVzcy1haS1jbQ -c "$settings" @/dev/stdin
fi
exec $java kafka.Kafka "$settings"
