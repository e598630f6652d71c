//! What befalls a node.

use std::process::Stdio;

use tokio::process::Command;

use super::{CONTROL, Node, environment};

impl Node {
    /// Raises or clears the alarm that stops publishers.
    ///
    /// # Panics
    /// If `rabbitmqctl` fails.
    pub async fn set_memory_alarm(&self, raised: bool) {
        let watermark = if raised { "0.00001" } else { "0.6" };
        self.control(&["set_vm_memory_high_watermark", watermark]).await;
    }

    /// Raises the alarm about the disk, which stops publishers too, until so many bytes more are free than now.
    ///
    /// # Panics
    /// If `df` or `rabbitmqctl` fails.
    pub async fn demand_room(&self, bytes: u64) {
        let free = Command::new("df").args(["--output=avail", "-B1"]).arg(&self.folder).output().await.expect("df");
        let free =
            String::from_utf8_lossy(&free.stdout).lines().last().and_then(|free| free.trim().parse::<u64>().ok());
        let limit = free.expect("what is free") + bytes;
        self.control(&["set_disk_free_limit", &limit.to_string()]).await;
    }

    /// Whether any alarm is raised.
    ///
    /// # Panics
    /// If the management API does not answer.
    pub async fn has_alarm(&self) -> bool {
        let answer = self.management.call("GET", "/health/checks/local-alarms", None).await;
        answer.expect("the management API").status == 503
    }

    /// Stops the broker in good order, while its Erlang machine goes on.
    ///
    /// # Panics
    /// If `rabbitmqctl` fails.
    pub async fn stop_broker(&self) {
        self.control(&["stop_app"]).await;
    }

    /// Starts the broker again after [`Node::stop_broker`].
    ///
    /// # Panics
    /// If `rabbitmqctl` fails.
    pub async fn start_broker(&self) {
        self.control(&["start_app"]).await;
        self.until_up().await;
    }

    async fn control(&self, arguments: &[&str]) {
        let mut control = Command::new(CONTROL);
        control.args(["-n", &self.ports.node_name()]).args(arguments);
        control.envs(environment(&self.folder, self.ports)).stdout(Stdio::null()).stderr(Stdio::null());
        let status = control.status().await.expect("rabbitmqctl");
        assert!(status.success(), "rabbitmqctl {arguments:?}: {status}");
    }

    /// Ends the node without warning. Quorum queues survive that only when they are older than 10 s.
    pub async fn kill(&self) {
        self.command("kill").await;
    }

    /// Starts the node again after [`Node::kill`].
    pub async fn restart(&self) {
        self.command("start").await;
        self.until_up().await;
    }
}
