#!/bin/sh
# Runs a private RabbitMQ node and its epmd until standard input ends, however the process that held it ended; then
# ends both and removes FOLDER. Commands on standard input: start, kill. Each is answered by a line when it is done.
trap '' INT
epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 >/dev/null 2>&1 &
epmd=$!
server=

start() {
    rm -f "$RABBITMQ_PID_FILE"
    /usr/lib/rabbitmq/bin/rabbitmq-server >>"$FOLDER/server.log" 2>&1 </dev/null &
    server=$!
}

# The pid file names the Erlang machine; the server script waits for it and ends with it.
end() {
    [ -n "$server" ] || return 0
    while [ ! -s "$RABBITMQ_PID_FILE" ] && kill -0 "$server" 2>/dev/null; do sleep 0.1; done
    [ -s "$RABBITMQ_PID_FILE" ] && kill -KILL "$(cat "$RABBITMQ_PID_FILE")" 2>/dev/null
    wait "$server"
    server=
}

while read -r command; do
    case $command in
    start) start ;;
    kill) end ;;
    esac
    echo "$command"
done
end
kill "$epmd" 2>/dev/null
wait "$epmd"
rm -rf "$FOLDER"
