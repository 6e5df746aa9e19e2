"""Images that somebody's compose file has beside the app, by the last part of their names, and where stores listen."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STORES = _words(
    """
    activemq-artemis activemq-classic aerospike arangodb azure-sql-edge azurite beanstalkd cassandra chroma clickhouse
    clickhouse-server cockroach cockroachdb consul couchbase couchdb cp-kafka cp-server cp-zookeeper dgraph dragonfly
    dynamodb-local eclipse-mosquitto elasticmq elasticsearch emqx etcd ferretdb foundationdb garage hivemq4 immudb
    influxdb kafka keydb manticore mariadb mariadb-galera meilisearch memcached memgraph milvus minio mongo mongodb
    mongodb-community-server mosquitto mysql mysql-server nats neo4j openldap opensearch oracle-free oracle-xe percona
    pgautoupgrade pgvecto-rs pgvector postgis postgres postgresql postgresql-repmgr pulsar qdrant questdb rabbitmq redis
    redis-cluster redis-sentinel redis-stack redis-stack-server redismod redpanda rethinkdb scylla seaweedfs solr
    surrealdb timescaledb timescaledb-ha typesense valkey vault victoria-metrics weaviate yugabyte zookeeper
    """
)
"""They keep something."""
STORE_NAMES = _words(
    """
    cassandra clickhouse couchdb database db elasticsearch es etcd influxdb kafka mariadb meilisearch memcached minio
    mongo mongodb mosquitto mysql nats neo4j opensearch pg postgis postgres postgresql qdrant rabbitmq redis solr
    timescaledb typesense valkey zookeeper
    """
)
"""Services by the last word of their names, if nothing says where they listen."""
STORE_PORTS = frozenset(
    {1433, 2181, 3306, 5432, 5672, 6379, 7687, 9042, 9092, 9200, 9300, 11211, 15672, 26257, 27017, 33060}
)
"""Where stores listen: what is built from one of their images keeps its port, and often its name."""
TOOLS = _words(
    """
    acme-companion adminer akhq alertmanager all-in-one alloy alpine-chrome apprise autoheal autopostgresqlbackup
    browserless cadvisor certbot chrome chromium clamav cloudbeaver cloudflared coturn cp-schema-registry crowdsec
    dbgate diun docker-db-backup docker-letsencrypt-nginx-proxy-companion dozzle elasticsearch-exporter fail2ban
    fake-gcs-server filebeat flower fluent-bit fluentd gluetun gotenberg grafana greenmail imgproxy inbucket jaeger
    kafka-ui kibana letsencrypt-nginx-proxy-companion localstack logstash loki mailcatcher maildev mailhog mailpit mc
    mongo-express mysqld-exporter netdata ngrok node-exporter ofelia ollama opensearch-dashboards
    opentelemetry-collector opentelemetry-collector-contrib otel-collector pgadmin pgadmin4 pgbouncer pghero phpmyadmin
    playwright portainer portainer-ce postfix postgres-backup-local postgres-backup-s3 postgres-exporter
    postgres_exporter prometheus promtail pyroscope redis-commander redis_exporter redisinsight redpanda-console
    registry schema-registry selenium smtp smtp-relay smtp4dev splash squid standalone-chrome standalone-firefox
    statsd-exporter swagger-ui tailscale telegraf tempo tika unbound vector watchtower wireguard zipkin
    """
)
"""They serve those who run an app, or one thing beside it."""
