// Runs once the broker answers: who may do what (docs/how-to/kafka.md). Idempotent.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const require = createRequire('/opt/serverless-ai/libs/eventlog/package.json')
const kafkajs = require('kafkajs')
const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, Kafka, ResourcePatternTypes } =
  kafkajs

const RIGHTS = {
  'serverless-ai': ['READ', 'WRITE', 'DESCRIBE', 'DELETE', 'DESCRIBE_CONFIGS'],
  operator: ['CREATE', 'DESCRIBE', 'ALTER', 'DESCRIBE_CONFIGS', 'ALTER_CONFIGS'],
}

const admin = new Kafka({
  clientId: 'acls',
  brokers: ['kafka:9093'],
  ssl: { ca: readFileSync('/secrets/ca.crt', 'utf8') },
  sasl: {
    mechanism: 'scram-sha-512',
    username: 'admin',
    password: readFileSync('/secrets/kafka/admin.password', 'utf8'),
  },
  logLevel: kafkajs.logLevel.NOTHING,
  retry: { initialRetryTime: 500, maxRetryTime: 2_000, retries: 60 },
}).admin()
await admin.connect()
const acl = Object.entries(RIGHTS).flatMap(([user, operations]) =>
  operations.map((operation) => ({
    resourceType: AclResourceTypes.TOPIC,
    resourceName: 'serverlessai.',
    resourcePatternType: ResourcePatternTypes.PREFIXED,
    principal: `User:${user}`,
    host: '*',
    operation: AclOperationTypes[operation],
    permissionType: AclPermissionTypes.ALLOW,
  })),
)
await admin.createAcls({ acl })
await admin.disconnect()
console.log(`${acl.length} rights on serverlessai.* are set`)
