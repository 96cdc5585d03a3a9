#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
//
// A device in JavaScript, with MQTT.js, to start from.
//
//     device.js HOST PORT ID CAFILE CERTIFICATE KEY TOPIC...
//
// Publishes a reading to each TOPIC, waits for the broker's word on it, and
// obeys commands under dev/ID/cmd/. README.md, one folder up, says what it
// does when the broker refuses something, and why.
'use strict'

const fs = require('node:fs')
const mqtt = require('mqtt')

const KEEPALIVE_S = 30
const SESSION_EXPIRY_S = 3600
const NOT_AUTHORIZED = 0x87

// Seconds in the environment variable NAME.
const setting = (name, fallback) => Number(process.env[name] ?? fallback)
const say = (text) => process.stdout.write(text + '\n')

class Device {
  constructor (host, port, id, cafile, certificate, key, ...topics) {
    this.id = id
    this.commands = `dev/${id}/cmd/+`
    this.status = `dev/${id}/status`
    this.topics = topics
    this.waiting = new Set() // topics whose last reading is on its way
    this.refusedUntil = new Map() // topics that the broker refused
    this.cleanStart = false
    this.failures = 0
    this.intervalS = setting('INTERVAL_S', 60)
    this.retryS = setting('RETRY_S', 1)
    this.retryMaxS = setting('RETRY_MAX_S', 300)
    this.refusedS = setting('REFUSED_S', 900)
    this.options = {
      protocol: 'mqtts',
      host,
      port: Number(port),
      ca: fs.readFileSync(cafile),
      cert: fs.readFileSync(certificate),
      key: fs.readFileSync(key),
      clientId: id,
      // MQTT 5: MQTT 3.1.1 has no way to say that a publish was refused.
      protocolVersion: 5,
      keepalive: KEEPALIVE_S,
      // With a session that stays, commands wait for a device that is away.
      properties: { sessionExpiryInterval: SESSION_EXPIRY_S },
      will: { topic: this.status, payload: 'lost', qos: 1, retain: true },
      // The back-off below is this program's, not the library's.
      reconnectPeriod: 0,
      resubscribe: false
    }
  }

  connect () {
    let notAuthorised = false
    this.connected = false
    this.waiting.clear()
    this.refusedUntil.clear()
    const client = this.client =
      mqtt.connect({ ...this.options, clean: this.cleanStart })
    client.on('connect', (connack) => this.onConnect(connack))
    client.on('message', (topic, payload) =>
      // What a device does with a command is its own; payloads are bytes.
      say(`command ${topic} ${payload}`))
    client.on('disconnect', (packet) => say(`disconnected ${packet.reasonCode}`))
    client.on('error', (error) => {
      notAuthorised = error.code === NOT_AUTHORIZED
      say(typeof error.code === 'number'
        ? `connect refused ${error.code}`
        : `cannot connect: ${error.message}`)
    })
    client.once('close', () => {
      clearInterval(this.timer)
      if (this.connected) say('connection lost')
      this.connected = false
      client.end(true)
      if (!this.stopping) this.backOff(notAuthorised)
    })
  }

  onConnect (connack) {
    say('connected' + (connack.sessionPresent ? ', session resumed' : ''))
    this.connected = true
    this.failures = 0
    this.cleanStart = false
    // Each time: the broker drops a subscription that was refused.
    this.subscribe()
    this.client.publish(this.status, 'online', { qos: 1, retain: true })
    this.publishReadings()
    this.timer = setInterval(() => this.publishReadings(),
      this.intervalS * 1000)
  }

  subscribe () {
    this.client.subscribe(this.commands, { qos: 1 }, (error, granted, packet) => {
      const code = packet?.granted?.[0] ?? granted?.[0]?.qos
      if (code >= 0x80) {
        say(`refused ${this.commands} ${code}`)
      } else if (!error) {
        say('listening')
      }
    })
  }

  publishReadings () {
    for (const topic of this.topics) {
      // One at a time: what is unconfirmed is not piled up.
      if (this.waiting.has(topic) ||
        Date.now() < (this.refusedUntil.get(topic) ?? 0)) continue
      this.waiting.add(topic)
      const reading = String(Math.round(process.uptime()))
      this.client.publish(topic, reading, { qos: 1 }, (error) => {
        this.waiting.delete(topic)
        if (!error) {
          say(`sent ${topic}`)
        } else if (error.code >= 0x80) {
          say(`refused ${topic} ${error.code}`)
          this.refusedUntil.set(topic, Date.now() + this.refusedS * 1000)
        }
      })
    }
  }

  wait (delayS) {
    // Half to all of it: a fleet that lost its broker at one moment must not
    // come back at one.
    delayS *= 0.5 + Math.random() / 2
    say(`retry in ${delayS.toFixed(1)} s`)
    this.retry = setTimeout(() => this.connect(), delayS * 1000)
  }

  backOff (notAuthorised) {
    if (notAuthorised && !this.cleanStart) {
      // It may be the session that is refused (session_stale): one try
      // without it, at once.
      this.cleanStart = true
      say('once with a clean session')
      this.connect()
    } else if (notAuthorised) {
      // Suspended, revoked, not known yet: people change that, not minutes.
      this.cleanStart = false
      this.wait(this.refusedS)
    } else {
      this.wait(Math.min(this.retryMaxS,
        this.retryS * 2 ** Math.min(this.failures, 16)))
      this.failures++
    }
  }

  stop () {
    this.stopping = true
    clearTimeout(this.retry)
    clearInterval(this.timer)
    if (!this.connected) {
      this.client.end(true)
      return
    }
    // A DISCONNECT, so that the will is not published.
    this.client.publish(this.status, 'offline', { qos: 1, retain: true },
      () => this.client.end())
  }
}

if (process.argv.length < 9) {
  process.stderr.write('usage: device.js HOST PORT ID CAFILE CERTIFICATE KEY ' +
    'TOPIC...\n')
  process.exit(2)
}
const device = new Device(...process.argv.slice(2))
process.on('SIGTERM', () => device.stop())
process.on('SIGINT', () => device.stop())
device.connect()
