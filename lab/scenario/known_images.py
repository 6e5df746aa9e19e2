"""Images that somebody's compose file has beside the app, by the last part of their names, and where stores listen."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STORES = _words(
    """
    arangodb azure-sql-edge beanstalkd cassandra clickhouse clickhouse-server cockroach consul couchdb cp-kafka
    cp-zookeeper dragonfly eclipse-mosquitto elasticsearch etcd influxdb kafka keydb mariadb meilisearch memcached
    milvus minio mongo mongodb mosquitto mysql mysql-server nats neo4j opensearch percona pgvector postgis postgres
    postgresql qdrant rabbitmq redis redis-stack redis-stack-server redismod rethinkdb scylla solr timescaledb
    timescaledb-ha typesense valkey vault weaviate zookeeper
    """
)
"""They keep something."""
STORE_NAMES = STORES | _words("database db es pg")
STORE_PORTS = frozenset(
    {1433, 2181, 3306, 5432, 5672, 6379, 7687, 9042, 9092, 9200, 9300, 11211, 15672, 26257, 27017, 33060}
)
"""Where stores listen: what is built from one of their images keeps its port, and often its name."""
TOOLS = _words(
    """
    acme-companion adminer alertmanager all-in-one autoheal autopostgresqlbackup cadvisor certbot chrome chromium clamav
    coturn docker-db-backup dozzle filebeat fluent-bit fluentd flower gotenberg grafana imgproxy jaeger kibana
    localstack logstash loki mailcatcher maildev mailhog mailpit mongo-express node-exporter
    opentelemetry-collector opentelemetry-collector-contrib otel-collector pgadmin pgadmin4 pgbouncer phpmyadmin
    portainer portainer-ce postfix postgres-backup-local postgres-exporter postgres_exporter prometheus promtail
    redis-commander redis_exporter redisinsight registry selenium smtp4dev standalone-chrome statsd-exporter tika
    vector watchtower zipkin
    """
)
"""They serve those who run an app, or one thing beside it."""
