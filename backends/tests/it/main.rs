//! The adapters, against the rules of the ports and against what can happen to each of them.

#[cfg(test)]
mod amqp_alarm;
#[cfg(test)]
mod amqp_bundles;
#[cfg(test)]
mod amqp_bus;
#[cfg(test)]
mod amqp_full;
#[cfg(test)]
mod amqp_harness;
#[cfg(test)]
mod amqp_operations;
#[cfg(test)]
mod amqp_robust;
#[cfg(test)]
mod amqp_storm;
#[cfg(test)]
mod amqp_strays;
#[cfg(test)]
mod amqp_tls;
#[cfg(test)]
mod amqp_topology;
#[cfg(test)]
mod amqp_traffic;
#[cfg(test)]
mod amqp_wire;
#[cfg(test)]
mod contracts;
#[cfg(test)]
mod embedded_bus;
#[cfg(test)]
mod embedded_crash;
#[cfg(test)]
mod embedded_file;
#[cfg(test)]
mod embedded_limits;
#[cfg(test)]
mod embedded_store;
#[cfg(test)]
mod embedded_time;
#[cfg(test)]
mod embedded_writer;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod redis_faults;
#[cfg(test)]
mod redis_harness;
#[cfg(test)]
mod redis_primary;
#[cfg(test)]
mod redis_refusals;
#[cfg(test)]
mod redis_schedules;
#[cfg(test)]
mod redis_standing;
#[cfg(test)]
mod redis_start;
#[cfg(test)]
mod redis_store;
#[cfg(test)]
mod redis_time;
#[cfg(test)]
mod redis_tls;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod sealing;
