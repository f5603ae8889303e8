#!/bin/sh
# The rights of a log, for a cluster with an authorizer: the users "agents" and "workers" may use the log LOG, and nothing else.
#   LOG=tidings BOOTSTRAP=kafka-1:9092 sh acls.sh
# ADMIN names a file with the login of an administrator (kafka-acls.sh --command-config). docs/kafka-security.md explains each right.
set -eu
: "${LOG:=tidings}" "${BOOTSTRAP:=127.0.0.1:9092}"

allow() {
  user=$1
  shift
  kafka-acls.sh --bootstrap-server "$BOOTSTRAP" ${ADMIN:+--command-config "$ADMIN"} --add --force \
    --allow-principal "User:$user" "$@"
}
of_log() {
  allow "$1" --resource-pattern-type prefixed "$2" "$LOG." $(for right in $3; do printf -- '--operation %s ' "$right"; done)
}

# A process with the role "agents" also creates the topics of the log, and removes what the retention lets go.
of_log agents --topic "Read Write Describe DescribeConfigs Create Delete"
of_log agents --group "Read Describe"
of_log agents --transactional-id "Write Describe"
allow agents --cluster --operation DescribeConfigs

# Every other role: gateway, triggers, tools, models.
of_log workers --topic "Read Write Describe DescribeConfigs"
of_log workers --group "Read Describe"
of_log workers --transactional-id "Write Describe"
allow workers --cluster --operation DescribeConfigs
